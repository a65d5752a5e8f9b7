"""The page in a real browser: sign in, upload, watch it come in, see the rows, take it back."""

import json
import re
from pathlib import Path

import pytest

from handmade import encrypted_workbook
from running import ADMIN_TOKEN, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ORDERS = "Order No,Placed,Amount\n000184,2026-11-01,12.50\n000185,2026-11-02,7.25\n"
MISREAD = "Bestand;;\nSKU;Menge;Preţ\n00012;1.234;9,5\n00013;2.345;8,25\n".encode("cp1250")  # Preş, taken for Turkish
STOCK = "sku,qty\n" + "".join(f"{number:05d},{number % 9}\n" for number in range(40))

DROP = """text => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], "dropped.csv", { type: "text/csv" }));
    for (const kind of ["dragenter", "dragover", "drop"])
        document.querySelector("[data-drop]").dispatchEvent(
            new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def as_file(name: str, text: str) -> dict[str, object]:
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


async def upload(page, *files: dict[str, object]) -> None:
    await page.set_input_files("#upload-input", list(files))


async def settled(page) -> None:
    """The page of a correction shows what was found once the file was read."""
    if page.url.endswith("/correct"):
        await page.get_by_role("button", name="Load it like this").wait_for()


async def test_visitor_is_sent_to_sign_in_and_back(page):
    """Who follows a link signs in and lands where the link led."""
    await page.goto("/files?offset=0")
    assert page.url.endswith("/sign-in?next=/files%3Foffset%3D0")
    await page.fill("#token", ADMIN_TOKEN)
    await page.click("button[type=submit]")

    await page.wait_for_url("**/files?offset=0")


async def test_wrong_token_is_told_in_a_sentence(page):
    """A mistyped token stays on the sign-in page, which says what to do."""
    await page.goto("/sign-in")
    await page.fill("#token", "not-a-token")
    await page.click("button[type=submit]")

    assert "not valid" in await page.text_content("[role=alert]")
    page.complaints.clear()  # the browser itself notes the status 401


async def test_session_cookie_is_out_of_reach_for_scripts(page):
    """HttpOnly and SameSite=Strict: neither a script nor another site can use it."""
    await sign_in(page)
    (cookie,) = await page.context.cookies()

    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("levelpool_session", True, "Strict")
    assert not await page.evaluate("document.cookie")


async def test_upload_comes_in_live_and_its_rows_are_seen(page):
    """Choose a file, see it loaded without a reload, follow the link to its rows."""
    await sign_in(page, path="/files")
    await upload(page, as_file("orders_2026-11-01.csv", ORDERS))
    row = page.locator("tr", has_text="orders_2026-11-01.csv")
    await row.locator(".status.loaded").wait_for()

    await row.get_by_role("link", name="orders", exact=True).click()
    await page.wait_for_url("**/datasets/orders")
    assert "2 rows" in await page.text_content("main")
    assert await page.locator("td", has_text="000184").count() == 1


async def test_dropped_file_is_uploaded(page):
    """Drag and drop does what the button does."""
    await sign_in(page, path="/files")
    await page.evaluate(DROP, ORDERS.replace("000184", "000999"))

    await page.locator("tr", has_text="dropped.csv").locator(".status.loaded").wait_for()


async def test_file_shows_columns_with_reasons_and_is_undone_after_a_question(page):
    """One page says what was decided and why, asks before it takes rows out, and shows that they are out."""
    await sign_in(page, path="/files")
    await upload(page, as_file("returns.csv", ORDERS.replace("000185", "000777")))
    await page.locator("tr", has_text="returns.csv").locator(".status.loaded").wait_for()
    await page.get_by_role("link", name="returns.csv").click()
    assert "starts with a zero" in await page.text_content("main")

    await page.get_by_role("button", name="Undo this import").click()
    dialog = page.locator("dialog[open]")
    await dialog.wait_for()
    assert "2 rows are taken out" in await dialog.text_content()
    await dialog.get_by_role("button", name="Undo the import").click()
    await page.locator("#file .status.undone").wait_for()

    await page.get_by_role("button", name="Load again").click()
    await page.locator("#file .status.loaded").wait_for()


async def test_what_differs_from_the_month_before_is_told_above_the_rows(page):
    """In yellow in the list, and in sentences on the page of the file."""
    await sign_in(page, path="/files")
    await upload(page, as_file("gauges_2026-09.csv", "No,Place,E-Mail\n1,Graz,a@b.example\n"))
    await page.locator("tr", has_text="gauges_2026-09.csv").locator(".status.loaded").wait_for()
    await upload(page, as_file("gauges_2026-10.csv", "No,Email,Level,Place\n2,c@d.example,7,Graz\n"))
    row = page.locator("tr", has_text="gauges_2026-10.csv")
    await row.locator(".status.doubtful").wait_for()
    assert "loaded, with doubts" in await row.text_content()

    await page.get_by_role("link", name="gauges_2026-10.csv").click()
    told = await page.locator(".drift").text_content()
    assert "Otherwise than in gauges" in told
    assert "the column level is new" in told
    assert "the column email is probably e_mail under another name" in told


async def test_page_tells_what_changed_since_the_file_before(page):
    """When somebody asks for it."""
    await sign_in(page, path="/files")
    await upload(page, as_file("valves_2026-09.csv", "No,Place,Pieces\n1,Graz,7\n2,Wien,9\n"))
    await page.locator("tr", has_text="valves_2026-09.csv").locator(".status.loaded").wait_for()
    await upload(page, as_file("valves_2026-10.csv", "No,Place,Pieces\n1,Graz,7\n2,Wien,8\n3,Linz,1\n"))
    await page.locator("tr", has_text="valves_2026-10.csv").locator(".status.loaded").wait_for()
    await page.get_by_role("link", name="valves_2026-10.csv").click()

    await page.get_by_role("button", name="Compare with the file before").click()
    await page.locator("#changes dl").wait_for()
    facts = await page.locator("#changes dd").all_text_contents()
    assert facts == ["2", "1", "0"]
    assert "Linz" in await page.locator("#changes table").text_content()


async def test_key_is_chosen_among_those_that_are_proposed(page):
    """One that does not hold is doubted before it is taken."""
    await sign_in(page, path="/files")
    await upload(page, as_file("bolts.csv", "Bolt no,Place,Pieces\nB1,Graz,7\nB2,Graz,9\n"))
    await page.locator("tr", has_text="bolts.csv").locator(".status.loaded").wait_for()
    await page.goto("/datasets/bolts")

    await page.get_by_role("button", name="Key…").click()
    assert "no file has a value twice, and none is blank: 2 rows" in await page.locator("dialog[open]").text_content()
    await page.get_by_label("Other columns, with commas between").fill("place")
    await page.get_by_role("button", name="Set the key").click()
    assert "A file has two rows with the same values" in await page.locator("dialog[open] [role=alert]").text_content()
    await page.get_by_label("Other columns, with commas between").fill("")
    await page.get_by_label("bolt_no").check()
    await page.get_by_role("button", name="Set the key").click()

    await page.locator(".lead", has_text="key: bolt_no").wait_for()
    await page.get_by_role("link", name="Show the newest rows only").click()
    await page.get_by_text("Of each bolt_no the newest row.").wait_for()


async def test_dataset_gets_another_name(page):
    """A name that cannot be is told in the dialog, beside what was written; a good one leads to the page of that name."""
    await sign_in(page, path="/files")
    await upload(page, as_file("oddments.csv", ORDERS.replace("000185", "000779")))
    await page.locator("tr", has_text="oddments.csv").locator(".status.loaded").wait_for()
    await page.goto("/datasets/oddments")

    await page.get_by_role("button", name="Rename…").click()
    await page.get_by_label("New name").fill("Odd Ends")
    await page.get_by_role("button", name="Rename", exact=True).click()
    assert "is not a dataset name" in await page.locator("dialog[open] [role=alert]").text_content()
    await page.get_by_label("New name").fill("odd_ends")
    await page.get_by_role("button", name="Rename", exact=True).click()

    await page.wait_for_url("**/datasets/odd_ends")
    assert "2 rows" in await page.text_content("main")


async def test_dataset_is_deleted_after_a_question(page):
    """The question has the figures; afterwards the list of datasets is shown, without it, and its file is undone."""
    await sign_in(page, path="/files")
    await upload(page, as_file("leavings.csv", ORDERS.replace("000185", "000778")))
    await page.locator("tr", has_text="leavings.csv").locator(".status.loaded").wait_for()
    await page.goto("/datasets/leavings")

    await page.get_by_role("button", name="Delete…").click()
    dialog = page.locator("dialog[open]")
    await dialog.wait_for()
    assert "2 rows go with their table. 1 file is undone" in await dialog.text_content()
    await dialog.get_by_role("button", name="Delete the dataset").click()

    await page.wait_for_url("**/datasets")
    assert "leavings" not in await page.text_content("main")
    await page.goto("/files")
    await page.locator("tr", has_text="leavings.csv").locator(".status.undone").wait_for()


async def test_quarantine_is_shown_and_downloaded(page):
    """What was set aside stands on the file's page, and in a CSV."""
    await sign_in(page, path="/files")
    await upload(page, as_file("stock.csv", STOCK))
    await page.locator("tr", has_text="stock.csv").locator(".status.loaded").wait_for()
    await upload(page, as_file("stock-2.csv", STOCK + "00040,many\n"))
    row = page.locator("tr", has_text="stock-2.csv")
    await row.locator(".status.partial").wait_for()
    await row.get_by_role("link", name="stock-2.csv").click()
    assert "many" in await page.text_content("#quarantine-rows")
    assert "in the table BIGINT" in await page.text_content("#file")
    await page.get_by_role("link", name="Correct it").click()
    await page.locator(".sheet", has_text="The table stock holds rows of other files").wait_for()
    assert "TEXT → BIGINT" in await page.text_content(".data thead")
    await page.get_by_role("link", name="Cancel").click()

    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download as CSV").click()
    lines = Path(await (await downloading.value).path()).read_text(encoding="utf-8-sig").splitlines()  # noqa: ASYNC240

    assert lines[0] == "sheet,row,column,value,reason"
    assert ",42,qty,many," in lines[1]


async def test_file_that_was_read_wrongly_is_corrected(page, service):
    """The decision is shown with its reasons; correct it, look again by the keyboard, load it: its table is as corrected."""
    await sign_in(page, path="/files")
    await upload(page, {"name": "lager.csv", "mimeType": "text/csv", "buffer": MISREAD})
    await page.locator("tr", has_text="lager.csv").locator(".status.loaded").wait_for()
    await page.get_by_role("link", name="lager.csv").click()
    shown = await page.text_content("#file")
    assert "CSV · cp1254 · parted by ;" in shown
    assert "row 2 holds texts above numbers" in shown and "2 rows outside of tables" in shown

    await page.get_by_role("link", name="Correct it").click()
    await page.get_by_label("Encoding").fill("cp1250")
    await page.get_by_label("Name: SKU").fill("article")
    await page.get_by_label("Type: Menge").select_option("TEXT")
    await page.get_by_label("Encoding").press("Enter")
    await page.locator("th", has_text="preţ").first.wait_for()
    assert await page.evaluate("document.activeElement.id") == "f-encoding"
    assert "article" in await page.text_content(".data thead")
    assert "Read again: 1 table." in await page.text_content("#said")

    await page.get_by_role("button", name="Load it like this").click()
    await page.wait_for_url(re.compile(r"/files/\d+$"))
    assert "cp1250" in await page.text_content(".said-card")
    columns = next(each for each in service.client().get("/api/datasets").json()["datasets"] if each["name"] == "lager")["columns"]
    assert [(column["name"], column["type"]) for column in columns] == [("article", "TEXT"), ("menge", "TEXT"), ("preţ", "NUMERIC")]


async def test_field_that_cannot_be_is_pointed_at_and_nothing_that_was_said_is_lost(page, service):
    """The sentence stands above, the field is marked, the other fields keep their words, and nothing is loaded."""
    sent = service.client().post("/api/files", files={"file": ("regal.csv", ORDERS.replace("000184", "000555"))}).json()
    service.settled(sent["id"])
    await sign_in(page, path=f"/files/{sent['id']}/correct")
    await page.get_by_label("Cells of the table").fill("B")
    await page.get_by_label("Name: Amount").fill("price")
    await page.get_by_role("button", name="Load it like this").click()

    await page.get_by_role("alert").wait_for()
    assert "the option box cannot be 'B'" in await page.get_by_role("alert").text_content()
    assert await page.get_by_label("Cells of the table").get_attribute("aria-invalid") == "true"
    assert await page.get_by_label("Name: Amount").input_value() == "price"
    assert service.client().get(f"/api/files/{sent['id']}").json()["options"] == {}


async def test_correction_with_which_nothing_can_be_loaded_says_why(page, service):
    """It is tried, the file stays as it was, and the form is still there."""
    sent = service.client().post("/api/files", files={"file": ("kiste.csv", ORDERS.replace("000184", "000556"))}).json()
    service.settled(sent["id"])
    await sign_in(page, path=f"/files/{sent['id']}/correct")
    await page.get_by_label("Cells of the table").fill("Y90:Z99")
    await page.get_by_role("button", name="Load it like this").click()

    await page.get_by_role("alert").filter(has_text="holds no table").wait_for()
    assert await page.get_by_label("Cells of the table").input_value() == "Y90:Z99"
    assert service.client().get(f"/api/files/{sent['id']}").json()["rows_loaded"] == 2


async def test_person_says_the_dataset_where_files_are_dropped(page, service):
    """A file of any name goes into the dataset that is written there, and its page says by whose word; a name that cannot be is told beside the file."""
    sent = service.client().post("/api/files", files={"file": ("parcels.csv", "parcel,town,kilos\nP1,Graz,3\nP2,Linz,5\n")}).json()
    assert service.settled(sent["id"])["dataset"] == "parcels"
    await sign_in(page, path="/files")
    dataset = page.get_by_label("Dataset", exact=True)
    assert "parcels" in await page.locator("#upload-datasets option").evaluate_all("all => all.map(each => each.value)")
    await dataset.fill("parcels")
    await upload(page, as_file("Styria.csv", "parcel,town,kilos\nP3,Wels,2\n"))
    row = page.locator("tr", has_text="Styria.csv")
    await row.locator(".status.loaded").wait_for()
    await dataset.fill("My Parcels")
    await upload(page, as_file("Tyrol.csv", "parcel,town,kilos\nP4,Hall,1\n"))
    await page.locator(".uploads .why").filter(has_text="is not a dataset name").wait_for()
    page.complaints.clear()  # the browser itself notes the status 422
    await row.get_by_role("link", name="Styria.csv").click()

    await page.get_by_text("somebody said that it belongs to parcels").wait_for()
    assert service.client().get("/api/datasets/parcels/rows").json()["total"] == 3


async def test_encrypted_workbook_is_opened_with_its_password(page, tmp_path):
    """A wrong one is told; the right one shows what is inside, and is not asked for again until it is loaded."""
    path = encrypted_workbook(tmp_path / "secret.xlsx", "open sesame")
    await sign_in(page, path="/files")
    await page.set_input_files("#upload-input", path)
    row = page.locator("tr", has_text="secret.xlsx")
    await row.locator(".status.failed").wait_for()
    await row.get_by_role("link", name="Give the password").click()

    password = page.get_by_label("Password of the workbook")
    await password.fill("sesame")
    await page.get_by_role("button", name="Open it").click()
    await page.get_by_role("alert").filter(has_text="another password").wait_for()
    await password.fill("open sesame")
    await password.press("Enter")
    await page.get_by_role("cell", name="00001", exact=True).wait_for()
    assert "sesame" not in await page.content()
    await page.get_by_role("button", name="Load it like this").click()
    await page.locator("#file .status.loaded").wait_for()

    await page.get_by_role("button", name="Load again").click()
    await page.locator(".toast.bad", has_text="protected by a password").wait_for()
    await page.locator("#file .callout.bad", has_text="It could not be loaded again, and stays as it was").wait_for()


async def test_a_file_is_found_by_its_name_and_its_state(page):
    """The list follows what is typed; the address carries it, so that it can be sent on and gone back from."""
    await sign_in(page, path="/files")
    await upload(page, as_file("needle.csv", ORDERS + "1,2026-01-01,1\n"), as_file("straw.csv", ORDERS + "2,2026-01-01,1\n"))
    for name in ("needle.csv", "straw.csv"):
        await page.locator("tr", has_text=name).locator(".status.loaded").wait_for()

    await page.get_by_label("Find a file by its name").fill("NEEDLE")
    await page.locator("tr", has_text="straw.csv").wait_for(state="detached")
    assert "name=NEEDLE" in page.url and await page.locator("tr", has_text="needle.csv").count() == 1
    await page.get_by_label("Status").select_option("failed")
    await page.get_by_role("heading", name="No such file").wait_for()
    await page.get_by_role("link", name="All files").click()
    await page.locator("tr", has_text="straw.csv").wait_for()


async def test_who_signed_out_in_another_tab_is_told_at_the_next_upload(page):
    """In words for people: no word of headers and tokens."""
    await sign_in(page, path="/files")
    other = await page.context.new_page()
    await other.goto("/files")
    await other.get_by_role("button", name="Sign out").click()
    await other.wait_for_url("**/sign-in")
    await upload(page, as_file("late.csv", ORDERS))

    await page.locator("[data-uploads]", has_text="You are signed out").wait_for()
    page.complaints.clear()  # the browser itself notes the status 401


async def test_password_goes_with_the_files_that_are_added(page, tmp_path, service):
    """Who knows that files are locked says the password first, and they come in like any other; it stays in no page."""
    await sign_in(page, path="/files")
    await page.get_by_text("Protected by a password?").click()
    await page.get_by_label("Password of the workbook").fill("open sesame")
    paths = [encrypted_workbook(tmp_path / f"locked_{place}.xlsx", "open sesame", rows=2 + place) for place in (1, 2)]
    await page.set_input_files("#upload-input", paths)

    for path in paths:
        await page.locator("tr", has_text=path.name).locator(".status.loaded").wait_for()
    await page.reload()
    assert "sesame" not in await page.content()


async def test_what_no_correction_can_make_a_table_of_is_told(page, service):
    """No fields are offered for a picture."""
    sent = service.client().post("/api/files", files={"file": ("photo.xlsx", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")}).json()
    service.settled(sent["id"])
    await sign_in(page, path=f"/files/{sent['id']}/correct")

    await page.get_by_role("alert").wait_for()
    assert "send the new file" in await page.text_content("#decision")
    assert not await page.locator("fieldset").count()


async def test_too_large_and_empty_files_are_refused_before_they_are_sent(page):
    """The page says which limit, and how large the file is."""
    await sign_in(page, path="/files")
    await page.evaluate("document.querySelector('[data-drop]').dataset.limit = 10")
    await upload(page, as_file("large.csv", ORDERS), as_file("empty.csv", ""))

    refusals = await page.locator("[data-uploads] .why").all_text_contents()
    assert any("the limit is 10 B" in each for each in refusals)
    assert any("empty" in each for each in refusals)


async def test_what_is_no_spreadsheet_says_so_in_the_list(page):
    """The sentence of the reader stands where the person looks."""
    await sign_in(page, path="/files")
    await upload(page, {"name": "picture.csv", "mimeType": "text/csv", "buffer": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"})
    row = page.locator("tr", has_text="picture.csv")

    await row.locator(".status.failed").wait_for()
    assert "not a spreadsheet" in await row.text_content()


async def test_system_page_is_live(page):
    """The figures come through the stream, not by asking again and again."""
    await sign_in(page, path="/system")
    await page.locator("[data-live-state][data-state=on]").wait_for()
    await page.locator("figcaption [data-live]").filter(has_text=re.compile(r"\d")).first.wait_for()
    assert await page.locator("canvas").count() == 2
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.wait_for_timeout(3000)

    assert len(requests) <= 1


async def test_markup_in_a_file_is_shown_and_does_nothing(page):
    """A name, a header and a cell that are markup stand on the page as they are written; no script of theirs runs."""
    attack = "<img src=x onerror=document.title='taken'>"
    await sign_in(page, path="/files")
    await upload(page, as_file(f"{attack}.csv", f"sku,{attack}\n00001,<script>document.title='taken'</script>\n00002,b\n"))
    row = page.locator("tr", has_text="onerror=document.title")
    await row.locator(".status.loaded").wait_for()
    await row.get_by_role("link").first.click()
    await page.get_by_text(attack, exact=True).first.wait_for()
    await page.locator("main a[href^='/datasets/']").first.click()

    await page.get_by_text("<script>document.title='taken'</script>", exact=True).wait_for()
    assert await page.title() != "taken"


async def test_viewer_sees_no_way_to_change_anything(page, service):
    """What a role may not do is not offered, and refused when it is tried all the same."""
    await sign_in(page, service.token("viewer"), "/files")

    assert not await page.locator("[data-drop]").count()
    assert not await page.get_by_role("link", name="System").count()
    await page.goto("/files/1")
    assert not await page.get_by_role("link", name="Correct it").count()
    answer = await page.evaluate(
        "fetch('/api/sync', {method: 'POST', headers: {'X-CSRF-Token': document.body.dataset.csrf}}).then(r => r.status)"
    )
    assert answer == 403
    page.complaints.clear()  # the browser itself notes the status 403


async def test_change_without_csrf_token_is_refused(page):
    """The cookie alone changes nothing."""
    await sign_in(page)
    answer = await page.evaluate("fetch('/api/sync', {method: 'POST'}).then(async r => [r.status, await r.json()])")

    assert answer[0] == 403
    assert answer[1]["error"]["code"] == "csrf"
    page.complaints.clear()  # the browser itself notes the status 403


async def test_sign_out_ends_the_session(page):
    """Afterwards the old cookie opens nothing."""
    await sign_in(page)
    (cookie,) = await page.context.cookies()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in")
    await page.context.add_cookies([cookie])
    await page.goto("/files")

    assert "/sign-in" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_breaks_the_content_security_policy(page, scheme):
    """Nothing inline, nothing from elsewhere: the browser has nothing to complain about (the fixture looks)."""
    await page.emulate_media(color_scheme=scheme)
    await sign_in(page)
    for path in ("/", "/files", "/files/1", "/files/1/correct", "/datasets", "/datasets/orders", "/system", "/no/such/page"):
        await page.goto(path)
        await page.wait_for_load_state("load")
        await settled(page)
        assert await page.locator("h1").count() == 1, path
    # The browser itself notes the status 404 of the last one.
    page.complaints[:] = [each for each in page.complaints if "404" not in each]


async def test_page_fits_a_phone(page):
    """Nothing makes a page wider than the screen; wide tables scroll in their own frame."""
    await page.set_viewport_size({"width": 360, "height": 740})
    await sign_in(page)
    for path in ("/", "/files", "/files/1", "/files/1/correct", "/datasets", "/datasets/orders", "/system"):
        await page.goto(path)
        await settled(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_every_control_has_a_name(page):
    """A screen reader can say what each button, link and field is for."""
    await sign_in(page)
    for path in ("/", "/files", "/files/1", "/files/1/correct", "/datasets", "/datasets/orders", "/system"):
        await page.goto(path)
        await settled(page)
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("a, button, select, textarea, input:not([type=hidden]):not([hidden])")].filter(each =>
                !each.textContent.trim() && !each.ariaLabel && !each.labels?.length).map(each => each.outerHTML)"""
        )
        assert not nameless, json.dumps(nameless)
