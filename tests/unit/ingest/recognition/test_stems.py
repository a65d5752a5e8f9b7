"""Names of files: what meets, and what must not be cut."""

import pytest

from levelpool.ingest.recognition.stems import stem_of

MEET = """
    Payroll January 2027 | Payroll March 2027 | payroll_2027-05 | Payroll May 2027 | Payroll (12)
    Hours Sep-26 | Hours Oct-26 | Hours Dec 26
    Umsätze Februar 2026 | Umsätze März 2026 | Umsätze Mai 2026 | Umsätze Jan 2026
    Ventes janvier 2026 | Ventes août 2026 | Ventes mars 2026 | Ventes 1er trimestre 2026
    Ventas enero 2026 | Ventas de agosto 2026 (copia) | Ventas T3 2026
    Vendite gennaio 2026 | Vendite set 2026 | Vendite mag 2026
    Vendas março 2026 | Vendas out 2026 | Vendas 2026 fevereiro
    Omzet maart 2026 | Omzet mei 2026 | Omzet kwartaal 2 2026 | Omzet week 12 2026
    Sprzedaż październik 2026 | Sprzedaż maja 2026 | Sprzedaż paź 2026
    Продажи октябрь 2026 | Продажи мая 2026 | Продажи 3 квартал 2026 | Продажи 2026 (копия)
    应收账款2026年9月 | 应收账款2026年10月份 | 应收账款202611 | 应收账款 第3季度 | 应收账款2026年第44周
    売上2026年9月 | 売上2026年度第3四半期 | 売上 10月分 | 売上2026年下半期
    매출 2026년 9월 | 매출 2026년 10월 | 매출 3분기 | 매출 44주차
    Budget FY26 | Budget FY2027 | Budget 2026-27 | Budget H1 2026
    Stock W01 | Stock W53 | Stock week 7 | Stock KW9
    Offers v2 | Offers v2.1 | Offers version 3 | Offers rev 4
    Ledger 2026-11-01 to 2026-11-07 | Ledger 2026-11-08 - 2026-11-14 | Ledger from 2026-11-15 to 2026-11-21 | Ledger 01.11.2026 bis 07.11.2026
    October 2026 churn | November 2026 churn | 2026 Q3 churn | Q4 churn
    Costs 2026-10 final | Costs 2026-11 FINAL v2 | Costs 3 (final) | Costs 2026-10 endgültig
    Inventory 3 Oct 2026 | Inventory Oct 3, 2026 | Inventory 2026 Oct 3 | Inventory 3rd October 2026
    Visits20261101 | visits-2026.11.02 | Visits_20261103_083000 | Copy of Visits 2026-11-04
"""

UNCUT = """
    price_may, data_set, marc, summary, customers, orders, grand_final, world_cup_final, march_of_dimes, april_lavigne, maya, augusta,
    sunset, decathlon, october_fest, juneau, novel, sepia, marchers, mayor, octagon, julian, febreze, market, maritime, janitor,
    decimals, marginal, augmented, june_bug, dec_alpha, form_w2, form_w, plan_b, vitamin_c, q_and_a, qa, quarterly, quarterback,
    weekly, weekend, kwanza, v_day, version, versions, revision, revenue, review, final_exam, finale_ligure, finals, semifinal, copyright,
    copywriters, photocopies, kopenhagen, kopfzeile, copiapo, copia_fiel_registro, seton, setup, tool_set, asset, output_set, gene, magnet,
    mag_articles, agora, luglio_hotel, outlook, checkout, out_of_stock, dezimal, september_11_victims, mars_rovers, jupiter, how_to, to_do, from_bank,
    von_neumann, van_gogh, des_moines, april_fools_jokes, sun_exposure, may_day_events, first_half_marathon, semester_courses, trimester_results,
    h1_headings_of_pages, s3_buckets, t1_lines, a4_paper, mp3_titles, covid19, b2b_leads, ipv4_hosts, web3_wallets, o365_users, r2_scores,
    客户, 月饼销量, 周大福, 半年报名单, 最终幻想, 四季酒店, 季度奖金, 年糕, 日本料理, 月光, 周期, 版权, 월급, 주문, 日報, 週刊誌, 月島店舗
"""


@pytest.mark.parametrize("line", MEET.strip().splitlines(), ids=lambda line: line.split("|")[0].strip())
def test_files_of_one_report_meet(line):
    """Whatever month, quarter, week or version it is, what is left is the same."""
    assert len({stem_of(f"{name.strip()}.xlsx").sure for name in line.split("|")}) == 1


def test_names_that_hold_such_words_are_not_cut():
    """More than a hundred names with parts that look like months, weeks, copies or versions, and are the name."""
    names = [name.strip() for name in UNCUT.replace("\n", " ").split(",")]

    assert len(names) > 100
    assert {name: stem_of(f"{name}.csv").sure for name in names if stem_of(f"{name}.csv").sure != name} == {}


@pytest.mark.parametrize(
    ("name", "loose"),
    [
        ("Kopie von Kunden", ("kunden",)),
        ("Kunden - Kopie", ("kunden",)),
        ("Clients - copie", ("clients",)),
        ("Copia di Clienti", ("clienti",)),
        ("顾客 - 拷贝", ("顾客",)),
        ("顧客 - コピー", ("顧客",)),
        ("고객 복사본", ("고객",)),
        ("price may", ("price",)),
        ("Budget October", ("budget",)),
        ("Tender final", ("tender",)),
        ("customers", ()),
    ],
)
def test_word_that_may_be_the_name_is_told_beside(name, loose):
    """It counts where it leads to a dataset whose columns agree."""
    assert stem_of(f"{name}.csv").loose == loose


@pytest.mark.parametrize(
    "name", ["data (3)", "Export 2026-11-01", "report October 2026", "下载", "Bericht KW 44", "2026-11-01", "Отчёт 2026"]
)
def test_name_without_a_subject_is_nameless(name):
    """Such a name says nothing about what is in the file."""
    assert stem_of(f"{name}.csv").is_nameless


@pytest.mark.parametrize(
    "name", ["1" * 250, "oct " * 60, "2026-10-" * 30, "v1." * 80, "kopie von " * 25, "9月" * 120, "(1)" * 80, "'2" * 120, "st" * 120]
)
def test_long_name_has_a_stem(name):
    """A name of nothing but what changes, as long as a file system takes, ends in a stem that is a part of it."""
    assert len(stem_of(f"{name}.csv").sure) <= len(name)
