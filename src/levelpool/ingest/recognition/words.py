"""
The words that change from one file of a report to the next, in thirteen languages: months, quarters, weeks, versions, copies.

As a file's name has them once it is NFKC and lower case; each with and without its accents.
"""

import re
import unicodedata


def _words(text: str) -> frozenset[str]:
    words = text.split()
    return frozenset(words) | {_without_accents(each) for each in words}


def _without_accents(text: str) -> str:
    # й is и with a mark in Unicode, and another letter to everybody who reads it.
    plain = "".join(
        letter if letter == "й" else "".join(part for part in unicodedata.normalize("NFD", letter) if not unicodedata.combining(part))
        for letter in text
    )
    return unicodedata.normalize("NFC", plain)


MONTHS = _words("""
    january february april june july august september october november december
    januar jänner februar märz maerz juni juli oktober dezember
    janvier février avril juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    janeiro fevereiro março maio junho julho setembro outubro novembro dezembro
    januari februari maart augustus
    styczeń luty marzec kwiecień czerwiec lipiec sierpień wrzesień październik listopad grudzień
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
    январь февраль апрель июнь июль август сентябрь октябрь ноябрь декабрь
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
    feb okt nov déc dez févr janv mrz mrt sept fev ott янв фев апр июн июл авг сен сент окт ноя нояб дек
""")
"""Months that are little else; beside any number they say which month it is."""

MONTHS_OR_OTHERS = _words("""
    may march mars mai maj mei jan mar apr jun jul aug sep oct dec avr juil ene abr ago dic gen mag giu lug set out
    sty lut kwi cze lip sie wrz paź lis gru mär март май мар
""")
"""Months that are words or abbreviations of other things, too (data set, market, gen 2): they count beside a year or a quarter only."""

COPIES = _words("""
    kopie kopi kopia copie copia cópia копия
""")
"""Marks of a copy; the English one is part of how a dataset is named."""

OF = _words("von van vom de di do da af av of des der")
"""What may follow a mark of a copy: Kopie von, copia de."""

FINALS = _words(
    "final finale endgültig endfassung définitif définitive definitivo definitiva definitief ostateczny ostateczna финал окончательный"
)

BETWEEN = _words("to until till bis au à al a hasta até ate tot t/m do по through")
"""What stands between the first and the last day of a range."""
FROM = _words("from von vom du de desde del dal od с van")

QUARTERS = _words("quarter qtr quartal trimestre trimestral kwartaal kwartał квартал кв")
WEEKS = _words("week wk woche kw cw semaine sem semana settimana sett tydzień tydz неделя нед")
HALVES = _words("half halbjahr semestre semestr halfjaar półrocze полугодие")
VERSIONS = _words("version ver rev revision versión versione versão versie wersja версия entwurf draft fassung")

NAMELESS = _words("""
    data export exports exported report reports download downloads file files sheet table book workbook untitled unnamed output result results
    extract dump query list document new
    daten bericht berichte datei tabelle mappe auswertung ausgabe liste abfrage unbenannt dokument
    données rapport fichier classeur feuille sortie résultat liste extraction
    datos informe reporte archivo libro hoja salida resultado resultados exportación descarga
    dati rapporto foglio cartel esportazione risultato elenco
    dados relatório arquivo ficheiro planilha exportação
    gegevens rapportage bestand werkmap uitvoer
    dane raport plik arkusz eksport wynik
    данные отчет отчёт файл книга лист выгрузка экспорт
    数据 导出 报表 报告 下载 文件 工作簿 表格 結果 结果 資料 數據 匯出 報表 報告
    データ レポート エクスポート ダウンロード ファイル 出力 報告書
    데이터 보고서 내보내기 다운로드 파일 결과
""")
"""Stems that say nothing about what is in a file."""


def any_of(words: frozenset[str]) -> str:
    """A pattern for one of these words, the longest first."""
    return "(?:" + "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word)))) + ")"
