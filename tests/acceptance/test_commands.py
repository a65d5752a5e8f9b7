"""The command line as processes: what it prints, how it ends, and one sentence when it cannot."""

import io
import json
import signal
import sqlite3
import stat
import time
from contextlib import closing

import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile

from control_groups import half_a_core
from machine import AS_ANYBODY
from running import ADMIN_TOKEN, run_levelpool, start_service

ORDERS = b"Order No,Placed,Amount\n000184,2026-11-01,12.50\n000185,2026-11-02,7.25\n"


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def exports(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders_2026-11-01.csv").write_bytes(ORDERS)
    return folder


def sentence(done) -> str:
    """The one line on stderr."""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("levelpool: ")
    return line


# ---------------------------------------------------------------- serve


def test_file_that_failed_is_told_by_each_sync(var, exports):
    """Whoever runs it each night learns of it each morning, not only of the first one."""
    (exports / "broken.xlsx").write_bytes(b"no workbook")

    first, second = (run_levelpool("sync", str(exports), data_dir=var) for _ in range(2))

    assert (first.returncode, second.returncode) == (1, 1)
    assert "failed  broken.xlsx" in second.stdout
    assert "1 failed" in second.stdout and "1 known already" in second.stdout


def test_first_start_shows_the_admin_token_once(var):
    """It is printed at the first start, works, and is never shown again; the database holds only its hash."""
    first = start_service(var, LEVELPOOL_ADMIN_TOKEN="")
    token = first.process.stdout.readline().strip().rpartition(" ")[2]
    assert first.client(token).get("/api/system/executor-stats").status_code == 200
    assert first.stop() == 0
    assert token.encode() not in (var / "levelpool.sqlite").read_bytes()

    second = start_service(var, LEVELPOOL_ADMIN_TOKEN="")
    assert second.client(token).get("/api/files").status_code == 200
    assert second.stop() == 0


@pytest.mark.parametrize("arguments", [("serve",), ("sync",)], ids=["serve", "sync"])
def test_new_data_folder_is_for_its_user_alone(var, exports, arguments):
    """Whoever makes it: the database in it holds people's data. A folder that is there keeps the rights that somebody gave it."""
    kept = var.with_name("kept")
    kept.mkdir(mode=0o755)
    for folder in (var, kept):
        if arguments == ("serve",):
            assert start_service(folder).stop() == 0
        else:
            assert run_levelpool(*arguments, str(exports), data_dir=folder).returncode == 0

    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (var, kept)] == [0o700, 0o755]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_service_drains_and_ends_with_status_0_even_with_an_open_page(var, number):
    """An endless stream does not hold the end up."""
    service = start_service(var)
    with service.client().stream("GET", "/events") as answer:
        next(answer.iter_raw())
        assert service.stop(number) == 0
    assert "Traceback" not in service.log.read_text()


def test_inbox_that_cannot_be_read_is_told(var, tmp_path):
    """Status 2, and which right is missing."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    inbox.chmod(0)
    done = run_levelpool("serve", data_dir=var, prefix=AS_ANYBODY, LEVELPOOL_INBOX=str(inbox))
    inbox.chmod(stat.S_IRWXU)

    assert done.returncode == 2
    assert "cannot be read" in sentence(done)


def test_two_web_workers_share_the_port_and_load_a_file_once(var):
    """One of them watches the inbox; both answer; Ctrl-C ends all."""
    service = start_service(var, "--workers", "2")
    (service.inbox / "orders.csv").write_bytes(ORDERS)
    client = service.client()
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        listed = client.get("/api/files").json()
        if listed["files"] and listed["files"][0]["status"] == "loaded":
            break
        time.sleep(0.2)
    log = service.log.read_text()
    client.post("/api/sync")

    assert [each["status"] for each in listed["files"]] == ["loaded"]
    assert client.get("/api/files").json()["total"] == 1
    assert log.count(" leads") == 1
    assert service.stop() == 0


# ---------------------------------------------------------------- files


def test_sync_loads_a_folder_and_finds_nothing_new_the_second_time(var, exports):
    """Status 0 both times; the rows are there once."""
    first = run_levelpool("sync", str(exports), data_dir=var)
    second = run_levelpool("sync", str(exports), data_dir=var)
    third = json.loads(run_levelpool("sync", str(exports), "--json", data_dir=var).stdout)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "1 loaded" in first.stdout
    assert "1 known already" in second.stdout
    assert (third["found"], third["loaded"], third["duplicate"], third["files"]) == (1, 0, 1, [])
    with sqlite3.connect(var / "levelpool.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def test_sync_of_files_into_one_dataset_answers_as_json(var, exports):
    """A program reads what became of each file."""
    done = run_levelpool("sync", str(exports / "orders_2026-11-01.csv"), "--dataset", "sales", "--json", data_dir=var)
    answer = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert (answer["found"], answer["loaded"], answer["files"][0]["dataset"]) == (1, 1, "sales")


def test_sync_that_sets_rows_aside_or_fails_ends_with_1(var, exports):
    """Not everything is in the tables, and a script can tell."""
    (exports / "scan.xlsx").write_bytes(b"%PDF-1.7 no spreadsheet")
    done = run_levelpool("sync", str(exports), data_dir=var)

    assert done.returncode == 1
    assert "1 loaded, 1 failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sync", "/no/such/file.csv"), "/no/such/file.csv does not exist"),
        (("sync", "{exports}", "--database", "postgresql://u:secret@127.0.0.1:9/db"), "127.0.0.1"),
        (("sync", "{exports}", "--dataset", "pg_x"), "pg_x"),
        (("undo", "77"), "77"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_command_that_could_not_run_ends_with_2_and_a_sentence(var, exports, arguments, told):
    """Status 2, one line, no traceback, no password."""
    done = run_levelpool(*(each.format(exports=exports) for each in arguments), data_dir=var)

    assert done.returncode == 2
    assert told in sentence(done)
    assert "secret" not in done.stderr


def test_number_that_no_database_can_hold_is_a_wrong_argument(var):
    """The sentence names the range."""
    done = run_levelpool("undo", "99999999999999999999", data_dir=var)

    assert done.returncode == 2
    assert "99999999999999999999 is not in the range" in done.stderr


def test_inspect_says_what_would_be_loaded_and_why(var, exports):
    """Every cell is accounted for, no database is made."""
    done = run_levelpool("inspect", str(exports / "orders_2026-11-01.csv"), "--json", data_dir=var)
    (sheet,) = json.loads(done.stdout)["sheets"]
    cells = sheet["cells"]

    assert done.returncode == 0, done.stderr
    assert [column["type"] for column in sheet["columns"]] == ["TEXT", "DATE", "NUMERIC"]
    assert cells["read"] == cells["loaded"] + cells["quarantined"] + cells["outside"] == 9
    assert not (var / "levelpool.sqlite").exists()


def test_inspect_says_the_same_with_two_workers(var, tmp_path):
    """Whether the file is shared or not, and whatever the second worker did of it."""
    file = tmp_path / "numbers.csv"
    file.write_text("n,day\n" + "".join(f"{number},2026-11-{number % 28 + 1:02d}\n" for number in range(30_000)), encoding="utf-8")
    told = [
        run_levelpool("inspect", str(file), "--json", data_dir=var, CPU_EXECUTOR_WORKERS="2", LEVELPOOL_SHARE_FILES_FROM=share)
        for share in ("0", "1")
    ]

    assert [done.returncode for done in told] == [0, 0]
    assert told[0].stdout == told[1].stdout


def test_inspect_for_people_names_columns_and_reasons(var, exports):
    """The same, to be read."""
    done = run_levelpool("inspect", str(exports / "orders_2026-11-01.csv"), data_dir=var, COLUMNS="200")

    assert done.returncode == 0, done.stderr
    assert "order_no" in done.stdout
    assert "starts with a zero" in done.stdout


def test_corrections_of_inspect_are_those_of_sync(var, tmp_path):
    """What was tried with inspect is loaded with sync: by the same options, or by the record that inspect gives back."""
    file = tmp_path / "Shop.csv"
    file.write_text("Report\nday;note\n03/04/2026;-\n04/04/2026;x\n", encoding="utf-8")
    tried = run_levelpool("inspect", str(file), "--day-first", "--blank=-", "--header-row", "2", "--json", data_dir=var)
    answer = json.loads(tried.stdout)
    assert answer["sheets"][0]["columns"][0]["type"] == "DATE"
    assert answer["options"] == {"header": 1, "blanks": ["-"], "day_first": True}
    (tmp_path / "shop.json").write_text(json.dumps(answer["options"]), encoding="utf-8")

    done = run_levelpool("sync", str(file), "--options", str(tmp_path / "shop.json"), "--json", data_dir=var)

    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(var / "levelpool.sqlite")) as database:
        assert database.execute("SELECT day, note FROM shop").fetchall() == [("2026-04-03", None), ("2026-04-04", "x")]


def test_loaded_file_is_corrected_by_its_number(var, tmp_path):
    """Its table is as corrected; without a correction it is loaded as it was; one that cannot be leaves it alone, with status 1."""
    file = tmp_path / "Shop.csv"
    file.write_text("Report\nday;note\n03/04/2026;-\n04/04/2026;x\nTotal;\n", encoding="utf-8")
    run_levelpool("sync", str(file), data_dir=var)
    said = (
        "--date-form",
        "day=%d/%m/%Y",
        "--name",
        "note=remark",
        "--box",
        "1:4",
        "--quote",
        "none",
        "--first-header-row",
        "2",
        "--header-row",
        "2",
    )

    done = run_levelpool("replay", "1", *said, "--json", data_dir=var)
    again = run_levelpool("replay", "1", data_dir=var)
    failed = run_levelpool("replay", "1", "--box", "Y90:Z99", data_dir=var)

    assert done.returncode == again.returncode == 0, done.stderr + again.stderr
    columns = [{"header": "note", "name": "remark"}, {"header": "day", "date_form": "%d/%m/%Y"}]
    assert json.loads(done.stdout)["options"] == {"box": "1:4", "header": 1, "header_from": 1, "columns": columns, "quote": ""}
    assert failed.returncode == 1 and "holds no table" in failed.stdout
    with closing(sqlite3.connect(var / "levelpool.sqlite")) as database:
        assert database.execute("SELECT * FROM shop").fetchall() == [(1, "Shop", 3, "2026-04-03", "-"), (1, "Shop", 4, "2026-04-04", "x")]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--type", "MONEY"), "HEADER="),
        (("--type", "a=MONEY"), "NUMERIC"),
        (("--box", "B4-F9"), "such as B4:F900"),
        (("--encoding", "klingon"), "klingon"),
        (("--options", "{file}"), "no option 'haeder'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_correction_that_cannot_be_is_told(var, tmp_path, options, told):
    """One sentence, before the file is read."""
    (tmp_path / "options.json").write_text('{"haeder": 1}', encoding="utf-8")
    arguments = [each.format(file=tmp_path / "options.json") for each in options]

    done = run_levelpool("inspect", str(tmp_path / "absent.csv"), *arguments, data_dir=var)

    assert done.returncode == 2
    assert told in sentence(done)


def test_full_disk_is_said_in_a_sentence_and_ends(var, tmp_path):
    """The file has failed, and says where room is to be made; the command neither waits for room nor shows its inside."""
    with xlsxwriter.Workbook(tmp_path / "stock.xlsx", {"constant_memory": True}) as book:
        sheet = book.add_worksheet("S")
        for row in range(20_000):
            sheet.write_row(row, 0, [f"sku {row}", "a rather long text that is the same in each row, again and again" * 2, row])

    done = run_levelpool("sync", str(tmp_path / "stock.xlsx"), data_dir=var, prefix=("prlimit", "--fsize=1500000"))

    assert done.returncode == 1, done.stderr
    assert f"there is no room in {var / 'work'} (File too large): make room there, then replay the file" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_encrypted_workbook_is_loaded_with_the_password_of_the_environment(var, tmp_path):
    """It stands on no command line, in no output, and in no file that is left behind."""
    plain = io.BytesIO()
    with xlsxwriter.Workbook(plain, {"in_memory": True}) as book:
        book.add_worksheet("S").write_row(0, 0, ["sku", "amount"])
        book.worksheets()[0].write_row(1, 0, ["a-1", 5])
    with (tmp_path / "stock.xlsx").open("wb") as file:
        OOXMLFile(plain).encrypt("open sesame", file)
    closed = run_levelpool("sync", str(tmp_path / "stock.xlsx"), data_dir=var)
    done = run_levelpool("sync", str(tmp_path / "stock.xlsx"), data_dir=var, LEVELPOOL_FILE_PASSWORD="open sesame")

    assert closed.returncode == 1
    assert "protected by a password" in closed.stdout
    assert done.returncode == 0, done.stderr
    assert "sesame" not in done.stdout + done.stderr
    assert not [path for path in var.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()]


def test_dataset_is_widened_and_given_a_policy(var, exports):
    """Two decisions about a dataset, each told; what is not there is told, too."""
    run_levelpool("sync", str(exports), data_dir=var)
    policy = run_levelpool("dataset", "policy", "orders", "cell", data_dir=var)
    widened = run_levelpool("dataset", "widen", "orders", "placed", data_dir=var)
    absent = run_levelpool("dataset", "widen", "orders", "colour", data_dir=var)

    assert (policy.returncode, widened.returncode, absent.returncode) == (0, 0, 2)
    assert "no column colour" in sentence(absent)
    with closing(sqlite3.connect(var / "levelpool.sqlite")) as database:
        assert database.execute("SELECT policy FROM levelpool_datasets WHERE name = 'orders'").fetchall() == [("cell",)]


def test_key_is_proposed_with_its_proof_and_set(var, exports):
    """Without columns nothing changes; a column that is not there is told with those that are."""
    run_levelpool("sync", str(exports), data_dir=var)
    proposed = run_levelpool("dataset", "key", "orders", data_dir=var)
    absent = run_levelpool("dataset", "key", "orders", "colour", data_dir=var)
    column = proposed.stdout.split(" ")[0]
    done = run_levelpool("dataset", "key", "orders", column, data_dir=var)

    assert (proposed.returncode, absent.returncode, done.returncode) == (0, 2, 0)
    assert "(no file has a value twice, none is blank, " in proposed.stdout
    assert "no column colour: it has " in sentence(absent)
    with closing(sqlite3.connect(var / "levelpool.sqlite")) as database:
        assert database.execute("SELECT key FROM levelpool_datasets WHERE name = 'orders'").fetchall() == [(f'["{column}"]',)]


def test_changes_since_the_file_before_are_told(var, tmp_path):
    """In words, with the rows, and as JSON."""
    for month, rows in (("09", "1,Graz\n2,Wien\n"), ("10", "1,Graz\n3,Linz\n")):
        (tmp_path / f"towns 2026-{month}.csv").write_text(f"No,Town\n{rows}")
        assert run_levelpool("sync", str(tmp_path / f"towns 2026-{month}.csv"), data_dir=var).returncode == 0
    told = run_levelpool("changes", "2", data_dir=var)
    answer = json.loads(run_levelpool("changes", "2", "--against", "1", "--json", data_dir=var).stdout)
    absent = run_levelpool("changes", "9", data_dir=var)

    assert told.stdout.startswith("file 2 in towns, since file 1: 1 row added, 1 removed, 0 changed\n")
    assert 'added: {"no": 3, "town": "Linz"}' in told.stdout
    assert (answer["against"], answer["added"], answer["removed"]) == (1, 1, 1)
    assert (absent.returncode, sentence(absent)) == (2, "levelpool: there is no file 9")


def test_a_file_cannot_drive_the_terminal(var, tmp_path):
    """Control characters and marks of the terminal's own language are shown, not obeyed."""
    file = tmp_path / "evil.csv"
    file.write_text("[bold]a[/bold],b\n\x1b]0;title\x07\x1b[31mred,1\nx\u202ey,2\n", encoding="utf-8")
    done = run_levelpool("inspect", str(file), data_dir=var, COLUMNS="200")

    assert done.returncode == 0, done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert r"\x1b[31mred" in done.stdout
    assert "[bold]a[/bold]" in done.stdout


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"", None], ids=["PDF", "empty", "absent"])
def test_inspect_of_what_cannot_be_read_ends_with_1_and_a_sentence(var, tmp_path, content):
    """Not readable is an answer, not an accident."""
    file = tmp_path / "scan.xlsx"
    if content is not None:
        file.write_bytes(content)
    done = run_levelpool("inspect", str(file), data_dir=var)

    assert done.returncode == 1
    assert "scan.xlsx" in sentence(done)


def test_undo_takes_an_import_back(var, exports):
    """First only said, then done; a second time is refused with a sentence."""
    run_levelpool("sync", str(exports), data_dir=var)
    planned = json.loads(run_levelpool("undo", "1", "--dry-run", "--json", data_dir=var).stdout)
    done = run_levelpool("undo", "1", data_dir=var)
    again = run_levelpool("undo", "1", data_dir=var)

    assert planned["rows_removed"] == 2
    assert (done.returncode, done.stdout.strip()) == (0, "2 rows taken out")
    assert again.returncode == 2
    assert "undone" in sentence(again)


# ---------------------------------------------------------------- what there is


def test_status_asks_the_running_service(var):
    """0 ready, with files and resources for an admin; 2 when nobody answers."""
    service = start_service(var)
    settings = {"LEVELPOOL_URL": service.url, "LEVELPOOL_TOKEN": ADMIN_TOKEN}
    asked = run_levelpool("status", "--json", data_dir=var, **settings)
    shown = run_levelpool("status", data_dir=var, **settings)
    wrong = run_levelpool("status", data_dir=var, **{**settings, "LEVELPOOL_TOKEN": "wrong"})
    assert service.stop() == 0
    gone = run_levelpool("status", data_dir=var, **settings)

    answer = json.loads(asked.stdout)
    assert (asked.returncode, answer["ready"], answer["files"]) == (0, True, [])
    assert answer["resources"]["cpu"]["cpus"] > 0
    assert (shown.returncode, "loop lag" in shown.stdout) == (0, True)
    assert (wrong.returncode, "401" in sentence(wrong)) == (2, True)
    assert (gone.returncode, "no service answers" in sentence(gone)) == (2, True)


@pytest.mark.cgroup
def test_capacity_tells_of_a_real_group(tmp_path):
    """The command in a process of the group: the quota, the file, and what follows from it."""
    with half_a_core() as group:
        enter = ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        answer = json.loads(run_levelpool("capacity", "--json", data_dir=tmp_path, prefix=enter).stdout)

    assert (answer["cpus"], answer["cpu_source"]) == (0.5, str(group.parent / "cpu.cfs_quota_us"))
    assert (answer["cpu_workers"], answer["io_workers"]) == (1, 2)
    assert answer["cpu_limits"][0] == {"value": 0.5, "source": answer["cpu_source"]}


def test_verify_says_what_it_looked_at_and_what_is_wrong(var, exports):
    """Status 0 while all agree, 1 with a sentence when an original is gone."""
    run_levelpool("sync", str(exports), data_dir=var)
    well = run_levelpool("verify", "--deep", data_dir=var)
    assert well.returncode == 0 and "compared cell by cell: all is well" in well.stdout, well.stdout + well.stderr

    next((var / "files").glob("??/*")).unlink()
    gone = run_levelpool("verify", data_dir=var)
    assert gone.returncode == 1 and "is gone" in gone.stdout and ": 1 not as they should be" in gone.stdout
