"""
Makes the pictures of the documentation anew, of the page of the running service in a real Chromium: docs/page.webp of a file of the sample inbox, and
docs/next-month.webp of next month's file of a report that has changed.

`make picture` runs it. Nothing in the picture is made up.
"""

import asyncio
import base64
import runpy
import tempfile
import time
from pathlib import Path

from playwright.async_api import Browser, async_playwright

import machine
from running import RunningService, sign_in, start_service

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "page.webp"
FILE = "Orders_2026-11-01.xlsx"
NEXT_MONTH = ROOT / "docs" / "next-month.webp"
"""The picture of the second of MONTHS, in which a column has another name, one is new, and dates are written otherwise."""
MONTHS = {
    "Deliveries September 2026.csv": "Delivery;E-Mail;City;Placed\n"
    + "".join(f"D{n};buyer{n}@example.org;Graz;{n:02d}.09.2026\n" for n in range(1, 25)),
    "Deliveries October 2026.csv": "Delivery;Email;City;Placed;Weight\n"
    + "".join(f"D{n + 30};buyer{n}@example.org;Graz;2026-10-{n:02d};{n}\n" for n in range(1, 25)),
}
WIDTH = 1180
SHARPNESS = 1.5  # pixels of the picture for one of the page

AS_WEBP = """async png => {
    const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 0.8 })).arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}"""


async def take(service: RunningService, number: int) -> bytes:
    """The page of the file with that number, whole and in light colours, as WebP."""
    async with async_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = await playwright.chromium.launch(executable_path=str(machine.find("chromium")), args=flags, env=machine.environment())
        context = await browser.new_context(
            base_url=service.url,
            viewport={"width": WIDTH, "height": 400},  # less than the page: the picture ends where the page does
            device_scale_factor=SHARPNESS,
            color_scheme="light",
            timezone_id="UTC",
        )
        page = await context.new_page()
        await sign_in(page, path=f"/files/{number}")
        await page.get_by_text("live", exact=True).wait_for()
        png = await page.screenshot(full_page=True, animations="disabled")
        webp = await _as_webp(browser, png)
        await browser.close()
    return webp


async def _as_webp(browser: Browser, png: bytes) -> bytes:
    # The browser has the encoder, and a page of its own has no security policy that forbids the image.
    page = await browser.new_page()
    return base64.b64decode(await page.evaluate(AS_WEBP, base64.b64encode(png).decode()))


def number_of(service: RunningService) -> int:
    """The number of FILE, once every sample is in."""
    client = service.client()
    while True:
        files = client.get("/api/files", params={"limit": 100}).raise_for_status().json()["files"]
        if len(files) > 10 and not {each["status"] for each in files} & {"pending", "running"}:
            return next(each["id"] for each in files if each["name"] == FILE)
        time.sleep(0.2)


def load(service: RunningService, name: str, text: str) -> int:
    """The number of a file that was sent, once it is loaded."""
    client = service.client()
    number = client.post("/api/files", files={"file": (name, text.encode())}).raise_for_status().json()["id"]
    while client.get(f"/api/files/{number}").raise_for_status().json()["status"] in {"pending", "running"}:
        time.sleep(0.2)
    return int(number)


def main() -> None:
    """Start the service with the sample inbox, and write both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "var"
        runpy.run_path(str(ROOT / "examples" / "make_inbox.py"))["main"](data / "inbox")
        service = start_service(data)
        try:
            PICTURE.write_bytes(asyncio.run(take(service, number_of(service))))
            numbers = [load(service, name, text) for name, text in MONTHS.items()]
            NEXT_MONTH.write_bytes(asyncio.run(take(service, numbers[-1])))
        finally:
            service.stop()
    for picture in (PICTURE, NEXT_MONTH):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size >> 10} KiB")


if __name__ == "__main__":
    main()
