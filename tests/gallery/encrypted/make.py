"""
Make the encrypted workbooks of the gallery anew; each holds the same small table, and the password is PASSWORD.

`/usr/bin/python3 make.py libreoffice` has LibreOffice write those of its own (made with 7.4.7 of Debian 12, packages libreoffice-calc-nogui
and python3-uno; an encrypted file is another one each time). `python make.py whole` seals the plain.ods that the first one leaves behind the
way LibreOffice does since 24.8: a whole package in one part, Argon2id and AES-GCM. That one was held against another reader (odfdecrypt 0.1.0).
"""

import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
import zlib
from base64 import b64encode
from pathlib import Path

HERE = Path(__file__).parent
PASSWORD = "open sesame ü"
KIND = "application/vnd.oasis.opendocument.spreadsheet"


def seal(plain: bytes, password: str, *, passes: int = 3, memory: int = 65536, lanes: int = 4) -> bytes:
    """The package *plain*, encrypted as a whole."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    deflated = deflate.compress(plain) + deflate.flush()
    salt, vector = os.urandom(16), os.urandom(12)
    start = hashlib.sha256(password.encode()).digest()
    key = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(start)
    manifest = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.4"
 xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0">
 <manifest:file-entry manifest:full-path="encrypted-package" manifest:media-type="{KIND}" manifest:size="{len(plain)}">
  <manifest:encryption-data>
   <manifest:algorithm manifest:algorithm-name="http://www.w3.org/2009/xmlenc11#aes256-gcm"
    manifest:initialisation-vector="{b64encode(vector).decode()}"/>
   <manifest:start-key-generation manifest:start-key-generation-name="http://www.w3.org/2001/04/xmlenc#sha256" manifest:key-size="32"/>
   <manifest:key-derivation manifest:key-derivation-name="urn:org:documentfoundation:names:experimental:office:manifest:argon2id"
    manifest:key-size="32" loext:argon2-iterations="{passes}" loext:argon2-memory="{memory}" loext:argon2-lanes="{lanes}"
    manifest:salt="{b64encode(salt).decode()}"/>
  </manifest:encryption-data>
 </manifest:file-entry>
</manifest:manifest>"""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as package:
        package.writestr("mimetype", KIND)
        package.writestr("encrypted-package", vector + AESGCM(key).encrypt(vector, deflated, None))
        package.writestr("META-INF/manifest.xml", manifest, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def libreoffice() -> None:
    """Have LibreOffice write the table once for each way that it knows."""
    import uno
    from com.sun.star.beans import NamedValue, PropertyValue

    office = subprocess.Popen(
        ["soffice", "--headless", "--norestore", "--accept=socket,host=127.0.0.1,port=20333;urp;"], stdout=subprocess.DEVNULL
    )
    context = uno.getComponentContext()
    resolver = context.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", context)
    while True:
        try:
            remote = resolver.resolve("uno:socket,host=127.0.0.1,port=20333;urp;StarOffice.ComponentContext")
            break
        except Exception:  # noqa: BLE001  (not there yet)
            time.sleep(0.5)
    services = remote.ServiceManager
    desktop = services.createInstanceWithContext("com.sun.star.frame.Desktop", remote)

    def said(kind, **values):
        found = []
        for name, value in values.items():
            each = kind()
            each.Name, each.Value = name, value
            found.append(each)
        return tuple(found)

    def save(name, **properties):
        book = desktop.loadComponentFromURL("private:factory/scalc", "_blank", 0, said(PropertyValue, Hidden=True))
        sheet = book.Sheets.getByIndex(0)
        sheet.Name = "Orders"
        days = book.NumberFormats.addNew("YYYY-MM-DD", uno.createUnoStruct("com.sun.star.lang.Locale"))
        for column, text in enumerate(("Order No", "Amount", "Placed")):
            sheet.getCellByPosition(column, 0).String = text
        for row in range(1, 4):
            sheet.getCellByPosition(0, row).String = f"{122 + row:06d}"
            sheet.getCellByPosition(1, row).Value = 12.5 * row
            sheet.getCellByPosition(2, row).Value = 46327 + row
            sheet.getCellByPosition(2, row).NumberFormat = days
        book.storeToURL((HERE / name).as_uri(), said(PropertyValue, **properties))
        book.close(True)

    def version_of_odf(number):
        provider = services.createInstanceWithContext("com.sun.star.configuration.ConfigurationProvider", remote)
        node = said(PropertyValue, nodepath="/org.openoffice.Office.Common/Save/ODF")
        access = provider.createInstanceWithArguments("com.sun.star.configuration.ConfigurationUpdateAccess", node)
        access.setPropertyValue("DefaultVersion", number)
        access.commitChanges()

    save("plain.ods", FilterName="calc8")
    save("libreoffice_aes.ods", FilterName="calc8", Password=PASSWORD)
    version_of_odf(2)  # 1.0 and 1.1: Blowfish
    save("libreoffice_blowfish.ods", FilterName="calc8", Password=PASSWORD)
    version_of_odf(3)
    save("libreoffice_rc4.xls", FilterName="MS Excel 97", Password=PASSWORD)
    secret = uno.Any("[]com.sun.star.beans.NamedValue", said(NamedValue, CryptoType="Standard", OOXPassword=PASSWORD))
    save("libreoffice_standard.xlsx", FilterName="Calc MS Excel 2007 XML", EncryptionData=secret)
    desktop.terminate()
    office.wait(60)


def whole() -> None:
    """Seal plain.ods."""
    (HERE / "whole_package.ods").write_bytes(seal((HERE / "plain.ods").read_bytes(), PASSWORD))
    (HERE / "plain.ods").unlink()


if __name__ == "__main__":
    {"libreoffice": libreoffice, "whole": whole}[sys.argv[1]]()
