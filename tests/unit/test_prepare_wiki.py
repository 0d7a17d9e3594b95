"""Wikipedia dumps: what links, templates, sections and the dump itself become. Expected texts were written by hand."""

from __future__ import annotations

import time

import pytest
from prepared import balanced, prepare, rows, write

from yaya.prepare.read.wikinames import site_of
from yaya.prepare.read.wikinumbers import WikiPage
from yaya.prepare.read.wikitext import to_text


def said(wikitext: str, language: str = "", title: str = "Title", date: str = "2014-10-26") -> str:
    return to_text(wikitext, WikiPage(site_of(language, ()), title, date))


def dump(*pages: str, siteinfo: str = "", language: str = "") -> str:
    attribute = f' xml:lang="{language}"' if language else ""
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"{attribute}>{siteinfo}{"".join(pages)}</mediawiki>'


def page(title: str, text: str, ns: str = "<ns>0</ns>", more: str = "") -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return f"<page><title>{title}</title>{ns}<revision>{more}<text>{text}</text></revision></page>"


def articles(tmp_path, xml: str) -> tuple[dict[str, str], dict[str, int]]:
    """Title -> text of the articles, and how many pages were left out for which reason."""
    draft = prepare(tmp_path / "out", write(tmp_path / "d" / "a.xml", xml), validation_fraction=0)
    texts = (row["text"].partition("\n\n") for row in rows(draft, "train"))
    return {title: text for title, _, text in texts}, balanced(draft)["dropped"]


# -- links


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("[[CSI: Miami]], [[Re:Zero]], [[Ys: The Oath]]", "CSI: Miami, Re:Zero, Ys: The Oath"),
        ("[[Star Trek: Voyager]] [[UN: Charter]] [[EU: Law]]", "Star Trek: Voyager UN: Charter EU: Law"),
        ("[[It: Chapter Two]] [[IT:Recht]] [[C: The Language]]", "It: Chapter Two IT:Recht C: The Language"),
        ("[[WWE: Live|show]] [[CSI:NY|New York]]", "show New York"),
        ("[[de:Recht]][[zh-yue:法律]]\n[[simple:Law]]\n[[be-x-old:Права]]", ""),
        ("see [[:fr:Acteur]] and [[:Category:Law]]", "see fr:Acteur and Category:Law"),
        ("[[:de:Recht|law]] [[:File:a.png|a picture]]", "law a picture"),
        ("[[Portal:Physics|Physics]] [[Help:IPA|help]] [[User:X]]", "Physics help User:X"),
        ("[[Elektron]]en, [[a#b]], [[#c]], [[d|e]]", "Elektronen, a, c, e"),
        ("[[Category:X|Y]][[category: x ]][[ File : x.png | thumb | a [[b]] {{c}}]]z", "z"),
        ("[[azimuthal quantum number|{{ell}}]]", "azimuthal quantum number"),
        ("[http://a.b word], [https://a.b], [//a.b c d], [/not/ a link]", "word, c d, [/not/ a link]"),
    ],
)
def test_links(markup, text):
    assert said(markup) == text


PICTURES = "Datei Bild Fichier Archivo Immagine Ficheiro Bestand Plik Файл Файл Fil Tiedosto Soubor Dosya Tập_tin 파일 ファイル 文件 檔案 图像 ملف"
CATEGORIES = "Kategorie Catégorie Categoría Categoria Kategoria Категория Категорія Kategori Luokka Thể_loại 분류 カテゴリ 分类 分類 تصنيف"


@pytest.mark.parametrize("name", [*PICTURES.split(), *CATEGORIES.split()])
def test_pictures_and_categories_of_other_languages(name):
    name = name.replace("_", " ")
    assert said(f"a [[{name}:X.svg|mini|hochkant|Ein [[Atom]] mit [[Elektron]]en|zwei {{{{nowrap|b}}}}]] b") == "a b"
    assert said(f"[[:{name}:X|words]] [[{name} des Jahres: X]]") == f"words {name} des Jahres: X"


NAMESPACES = """<siteinfo><sitename>W</sitename><namespaces><namespace key="0"/><namespace key="6">Bildwerk</namespace>
<namespace key="14">Thema</namespace><namespace key="100">Portal</namespace></namespaces></siteinfo>"""


def test_a_dump_names_its_namespaces(tmp_path):
    text = "x [[Bildwerk:a.svg|mini|b]] [[Thema:Recht]] [[File:b.png]] [[Category:C]] [[Kategorie: der Film]] [[Portal:X|X]] y"
    assert articles(tmp_path, dump(page("T", text), siteinfo=NAMESPACES))[0] == {"T": "x Kategorie: der Film X y"}


@pytest.mark.parametrize("how", ["attribute", "dbname"])
def test_older_names_of_the_dumps_language_are_known_too(tmp_path, how):
    # The Chinese Wikipedia's dump names only "File" and "Category".
    info = NAMESPACES.replace("Bildwerk", "File").replace("Thema", "Category")
    info = info if how == "attribute" else info.replace("<namespaces>", "<dbname>zhwiki</dbname><namespaces>")
    xml = dump(
        page(
            "法",
            "甲[[文件:a.jpg|缩略图|乙]][[分类:法律]][[Datei: 片名]]",
        ),
        siteinfo=info,
        language="zh" * (how == "attribute"),
    )
    assert articles(tmp_path, xml)[0] == {"法": "甲Datei: 片名"}


def test_a_link_within_its_own_language_is_no_interlanguage_link():
    assert said("[[de:Recht|Recht]] [[en:Law]]", "de") == "Recht"


# -- templates


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("{{convert|12|km|mi}}", "12 km"),
        ("{{Convert|3|to|5|km|mi}}", "3 to 5 km"),
        ("{{convert|10|-|20|m}}", "10–20 m"),
        ("{{convert|10|and|20|m}}", "10 and 20 m"),
        ("{{convert|10|by|20|x|30|m}}", "10 by 20 × 30 m"),
        ("{{convert|10|±|2|m}}", "10 ± 2 m"),
        ("{{convert|5|ft|6|in|m|abbr=on}}", "5 ft 6 in"),
        ("{{convert|6|ft|2|in|cm|0}}", "6 ft 2 in"),
        ("{{convert|6|foot|m|adj=on|sp=us}}", "6-foot"),
        ("{{convert|6|km|adj=on}}", "6 km"),
        ("{{convert|1|mile}} {{convert|2|mile}}", "1 mile 2 miles"),
        ("{{convert|1+1/2|in|mm|disp=or}}", "1 1/2 in"),
        ("{{cvt|100|F|C}} {{cvt|-5|C}}", "100 °F -5 °C"),
        ("{{convert|5|sqmi|km2|0}} {{convert|5|km2}} {{convert|9.8|m/s2}}", "5 sq mi 5 km² 9.8 m/s²"),
        ("{{convert|22|e6acre}}", "22 million acres"),
        ("{{convert|12<ref>x</ref>|km}} {{convert | 12 | km }} {{ convert\n|1=12\n|2=km}}", "12 km 12 km 12 km"),
        ("{{formatnum:12345}} {{formatnum:12,345|R}}", "12345 12345"),
        ("{{val|3.5|u=million}}", "3.5 million"),
        ("{{val|1.23|0.05|u=kg}} {{val|1.2|+0.3|-0.1|ul=m}}", "1.23 ± 0.05 kg 1.2 +0.3 -0.1 m"),
        ("{{val|6.241|e=-18}} {{val|1.5|ul=m|up=s}} {{val|50|u=%}}", "6.241×10⁻¹⁸ 1.5 m/s 50%"),
        ("5.98{{e|24}} 10<sup>6</sup> 10{{sup|&minus;7}} cm<sup>−1</sup>", "5.98×10²⁴ 10⁶ 10⁻⁷ cm⁻¹"),
        ("1<sup>st</sup> x<sup>3a</sup> <sup>242m</sup>Am H<sub>2</sub>O {{chem|H|2|O}}", "1st x^3a 242mAm H2O H2O"),
        ("{{nts|17}}{{ntsh|18}} {{num|5}} {{number|6}}", "17 5 6"),
        ("{{frac|3|4}} 2{{frac|1|2}} {{frac|1|3|4}} {{frac|2}} {{sfrac|a|b}}", "3/4 2 1/2 1 3/4 1/2 a/b"),
        ("{{ordinal|3}} {{ord|11}} {{ordinal|21}} {{ordinal|112}}", "3rd 11th 21st 112th"),
        ("{{percent|3|4}} {{percentage|1|3|1}}", "75% 33.3%"),
        ("{{USD|100}} {{US$|2 billion}} {{£|5}} {{¥|7}} {{€|8}} {{INR|3}}", "US$100 US$2 billion £5 ¥7 €8 ₹3"),
        (
            "{{coord|13|19|N|169|9|W}}, {{coord|43.6|-79.3}}{{coord|1|2|display=title}}",
            "13°19′N 169°9′W, 43.6°, -79.3°",
        ),
        ("{{As of|2010}}, {{as of|2010|5|3|lc=y}}, {{as of|2010|5}}", "As of 2010, as of 3 May 2010, As of May 2010"),
        (
            "{{circa|1650}} {{c.|1650|1700}} {{r.|1000|1020}} {{fl.|900}}",
            "c. 1650 c. 1650 – c. 1700 r. 1000–1020 fl. 900",
        ),
        ("{{b.|1900}} {{d.|1950}} {{reign|1000}}", "b. 1900 d. 1950 r. 1000"),
        ("{{birth date|1950|1|2}} {{birth date and age|1950|1|2|df=yes}}", "January 2, 1950 2 January 1950"),
        ("{{death date and age|1989|6|3|1902|9|22}}", "June 3, 1989 (aged 86)"),
        ("{{start date|2000|1}} {{start date|2000}} {{birth date|7 June 1950}}", "January 2000 2000 7 June 1950"),
        ("{{age|1950|12|1}} {{age|1950|1|2|2000|1|1}}", "63 49"),  # on 2014-10-26, and in 2000
        (
            "{{nihongo|'''Blue'''|青|Ao}}, {{nihongo||青|Ao}}, {{nihongo3|Blue|青|Ao}}",
            "Blue (青, Ao), Ao (青), Ao (青, Blue)",
        ),
        ("{{lang|fr|mot}} {{Lang-fr|mot}} {{langx|fr|mot}} {{lang|fr|texte=mot}}", "mot mot mot mot"),
        ("{{transl|ja|Ao}} {{transliteration|ar|ALA|Allāh}}", "Ao Allāh"),
        (
            "{{lang-zh|s=蓝|t=藍|p=Lán}} {{zh|c=蓝|labels=no}}",
            "simplified Chinese: 蓝; traditional Chinese: 藍; pinyin: Lán 蓝",
        ),
        ("{{nowrap|''Z'' {{=}} 1}} {{math|{{!}}x{{!}} {{=}} 1}} {{mvar|x}}", "Z = 1 |x| = 1 x"),
        ("{{small|a}} {{nobr|b}} {{abbr|no.|number}} {{tooltip|c|d}} {{URL|a.b|e}} {{URL|a.b}}", "a b no. c e a.b"),
        ("a{{snd}}b{{dash}}c{{ndash}}d{{spaced ndash}}e{{'}}s {{·}} f", "a – b – c–d – e's · f"),
        ("{{ill|Name|de|Ziel}} {{interlanguage link|Name|fr|lt=shown}}", "Name shown"),
        ("{{sic}} {{sic|teh}} {{sic|hide=y|teh}}", "[sic] teh [sic] teh"),
        ("{{flag|France}} {{flagicon|France}} [[France]]", "France France"),
        (
            "{{HMS|Ajax|22|6}}, {{USS|Enterprise|CV-6}}, {{ship|French ship|Bouvet|1865|2}}",
            "HMS Ajax, USS Enterprise (CV-6), Bouvet",
        ),
        ("a {{quote|Words.|Author|Source}} b", "a\nWords.\n— Author, Source\nb"),
        ("{{Blockquote|text=Words|author=—A}}", "Words\n— A"),
        ("{{bulleted list|a|b}}{{hlist|c|d}}", "- a\n- b\nc, d"),
        ("* {{FRA}}\n* {{UK}}\n{{TOC}}", "- FRA\n- UK"),
        ("{{nowrap_begin}}{{visible_anchor|a}}{{Citation_needed_span|b|date=2010}}", "ab"),
    ],
)
def test_templates(markup, text):
    assert said(markup) == text


@pytest.mark.parametrize(
    ("language", "markup", "text"),
    [
        (
            "fr",
            "{{unité|2000|m}} {{unité|10|km||h|-1}} {{nombre|5|à|6|km}} {{unité|3|m|2}}",
            "2000 m 10 km/h 5 à 6 km 3 m²",
        ),
        ("fr", "{{date|17|octobre|1973}}, {{date|17|10|1973|en sport}}", "17 octobre 1973, 17 octobre 1973"),
        (
            "fr",
            "{{s-|XIX}}, {{sp-|XVIII|et|XIX}}, {{-s|IV}}",
            "XIXe siècle, XVIIIe et XIXe siècles, IVe siècle av. J.-C.",
        ),
        ("fr", "le {{XXe siècle}}, 1{{er}} {{citation|bon}} {{heure|10|30}}", "le XXe siècle, 1er « bon » 10 h 30"),
        ("en", "a{{citation|last=X|title=Y}}", "a"),
        ("es", "{{fecha|2|1|1950}} {{unidad|12|km}}", "2 de enero de 1950 12 km"),
        (
            "de",
            '{{enS|the text}} {{grcS|veni}} {{"|Wort}} {{Höhe|1234|DE-NN}} z.{{nbsp}}B. {{Siehe auch|X}}',
            "the text veni „Wort“ 1234 m z. B.",
        ),
        ("zh", "甲{{bd|1893年|12月26日|1976年|9月9日|catIdx=M}}乙", "甲（1893年12月26日－1976年9月9日）乙"),
        (
            "zh",
            "{{lang|en|Law}}{{le|法律|Law}}{{le|法律|Law|法}}{{tsl|en|Law|法律}}{{link-en|法律|Law}}",
            "Law法律法法律法律",
        ),
        (
            "zh",
            "{{as of|2010|5}}，{{convert|3|to|5|km|mi}}，{{birth date|1950|1|2}}",
            "截至2010年5月，3至5 km，1950年1月2日",
        ),
        ("zh", "甲{{註|乙}}{{nowrap|丙}}", "甲丙"),
        ("ja", "{{読み仮名|青|あお}}{{仮リンク|法|en|Law}}{{lang|en|Law}}", "青（あお）法Law"),
        ("ko", "{{llang|en|Law}} {{국기나라|프랑스}}", "Law 프랑스"),
        ("ru", "{{s|10 км}}, {{нп5|Закон|закона|en|Law}}, {{число|12345}}", "10 км, закона, 12345"),
    ],
)
def test_templates_of_other_languages(language, markup, text):
    assert said(markup, language) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Blue ({{IPA-fr|x}}; born 1950) is", "Blue (born 1950) is"),
        ("Blue (born 1950, {{IPA-fr|x}}) is", "Blue (born 1950) is"),
        ("Blue ({{IPA-fr|x}} or {{audio|x.ogg|listen}}; {{unknown}}) is", "Blue is"),
        ("Blue ({{IPA-fr|x}} or {{IPA-fr|y}}, sometimes {{IPA-fr|z}}), a", "Blue, a"),
        ("Blue (French: {{unknown}}) is", "Blue (French) is"),
        ("蓝（{{IPA|x}}；{{unknown}}），然后{{unknown}}，再来（{{unknown}}）。", "蓝（x），然后，再来。"),
        ("came by {{unknown}}, then {{unknown}} went{{cn}} to {{unknown}}. So", "came by, then went to. So"),
        ("a; {{unknown}}; b, {{unknown}}.", "a; b."),
        ('he said "{{unknown}}" and « {{unknown}} » then', "he said and then"),
        ("a <ref>x</ref>, b<ref name=y />. c <REF>z {{q}}</REF> d<ref group='n'>e</ref>; f", "a, b. c d; f"),
        ("{{unknown}}, so", "so"),
        (
            "worth (${{inflation|US|1|1950}} in 2014), 5 $<ref>x</ref> and 100 €<ref>y</ref>",
            "worth (in 2014), 5 $ and 100 €",
        ),
        ("main() and f( ) stay, ( ) and [] too , and .NET", "main() and f( ) stay, ( ) and [] too , and .NET"),
    ],
)
def test_what_is_left_out_leaves_no_hole(markup, text):
    assert said(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("{{{1|default}}} {{{x}}}{{{{{1|lc}}}:ABC}}", "default abc"),
        ("{{#if: a | yes | no }} {{#if: | yes | no }} {{#ifeq:a|a|same|other}}", "yes no same"),
        ("{{#switch: b | a=1 | b | c = 2 | 3}} {{#switch:z|a=1|#default=4}} {{#switch:z|a=1|5}}", "2 4 5"),
        ("{{#expr: 2 * (3 + 4)}} {{#expr: 10/3 round 2}} {{#expr: -{{CURRENTYEAR}} + 2020}}", "14 3.33 6"),
        ("a{{#expr: 1/0}}b{{#expr: __import__('os')}}c{{#expr: 9**9**9}}d{{#expr:" + "(" * 150 + "}}e", "abcde"),
        (
            "{{lc:ABC}} {{uc:abc}} {{ucfirst:abc}} {{PAGENAME}} {{CURRENTYEAR}} {{CURRENTMONTHNAME}}",
            "abc ABC Abc Title 2014 October",
        ),
        ("{{subst:nowrap|x}} {{Template:nowrap|y}}{{#invoke:x|y}}{{DEFAULTSORT:x}}{{#tag:ref|z}}", "x y"),
        ("__TOC__a __NOTOC__\n__INHALTSVERZEICHNIS__\n__目次__\n__init__ and __FILE__", "a\n\n__init__ and __FILE__"),
    ],
)
def test_parser_functions_and_switches(markup, text):
    assert said(markup) == text


@pytest.mark.parametrize(
    ("language", "markup", "text"),
    [
        ("zh", "-{zh-hans:甲;zh-hant:乙}-与-{丙}-，-{zh-tw:丁;zh-cn:戊}-", "甲与丙，戊"),
        ("", "-{H|zh-cn:甲;zh-tw:乙}-丙-{T|丁}--{A|zh-cn:戊;zh-tw:己}--{zh-hant:庚;zh-hk:辛}-", "丙戊庚"),
        ("en", "poly-{methyl}-x, pre-{{lang|fr|mot}}", "poly-{methyl}-x, pre-mot"),
    ],
)
def test_variants_of_chinese(language, markup, text):
    assert said(markup, language) == text


# -- elements, lines and sections


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<nowiki>[[x]] {{y}} ''z'' &lt;</nowiki>", "[[x]] {{y}} ''z'' <"),
        ("a\n<pre>\n  x = ''1''\n<nowiki>&lt;b></nowiki>\n</pre>", "a\n\n  x = ''1''\n<b>"),
        (
            "<source lang=py>\ndef f():\n    return a[[0]] # &lt; <!-- x -->\n</source>",
            "def f():\n    return a[[0]] # &lt; <!-- x -->",
        ),
        (
            "a <syntaxhighlight lang=c inline>i;</syntaxhighlight> b <math>x_{{a}}</math> <ce>H2O</ce>",
            "a i; b $x_{{a}}$ $H2O$",
        ),
        (
            "include <stdio.h>, List<int> and <br/>x <small>y</small> <SPAN class=a>z</SPAN>",
            "include <stdio.h>, List<int> and\nx y z",
        ),
        ("a\n<!-- line -->\nb <!-- <ref> -->c<gallery>\nFile:x.png|y\n</gallery>", "a\nb c"),
        ("<poem>one\ntwo</poem><includeonly>x</includeonly>", "one\ntwo"),
        ("&lt;ref> &nbsp; &amp;nbsp; 5&nbsp;km", "<ref> &nbsp; 5 km"),
        (
            "!Kung people\n{|\n! a\n| b\n{|\n| c\n|}\n|}\nafter {| no table |}, {|x|}",
            "!Kung people\n\nafter {| no table |}, {|x|}",
        ),
        ("{|\n! never !! closed\n| x\nwords", "words"),
        ("* a\n** b\n# c\n: d\n;e: f\n----\n'''''g'''''", "- a\n- b\n- c\nd\ne: f\n\ng"),
        ("{{Infobox\n| a = [[File:x.png]]\n| b = {{convert|1|km}}\n}}\nwords {{unclosed", "words unclosed"),
    ],
)
def test_elements_and_lines(markup, text):
    assert said(markup) == text


END_SECTIONS = {
    "en": "See also/References/External links/Further reading/Notes and references/Sources/Bibliography",
    "de": "Siehe auch/Weblinks/Einzelnachweise/Literatur/Anmerkungen/Weblinks und Quellen",
    "fr": "Notes et références/Voir aussi/Liens externes/Bibliographie/Annexes/Articles connexes",
    "es": "Véase también/Enlaces externos/Referencias/Bibliografía/Notas y referencias",
    "it": "Note/Voci correlate/Collegamenti esterni/Altri progetti/Bibliografia",
    "pt": "Ver também/Ligações externas/Referências/Notas e referências",
    "nl": "Zie ook/Externe links/Bronnen, noten en referenties/Literatuur",
    "pl": "Zobacz też/Przypisy/Linki zewnętrzne/Bibliografia",
    "ru": "Примечания/Ссылки/См. также/Литература/Примечания и ссылки",
    "uk": "Примітки/Посилання/Див. також/Джерела",
    "tr": "Kaynakça/Dış bağlantılar/Ayrıca bakınız",
    "vi": "Tham khảo/Liên kết ngoài/Xem thêm/Chú thích",
    "ar": "مراجع/انظر أيضا/وصلات خارجية/المراجع والمصادر",
    "ja": "脚注/関連項目/外部リンク/参考文献/脚注・出典",
    "ko": "같이 보기/각주/외부 링크/참고 문헌/각주와 참고 문헌",
    "zh": "参考文献/外部链接/外部連結/参见/參見/註釋/参考文献与注释/延伸阅读",
}


@pytest.mark.parametrize("language", END_SECTIONS)
def test_sections_of_links_and_footnotes(language):
    titles = END_SECTIONS[language].split("/")
    for title in titles:
        assert said(f"words\n\n== {title} ==\n* a\n=== b ===\nc\n") == "words", title
    end = "".join(f"== '''{title}''' ==\n* [http://a.b c]\n" for title in titles)
    assert (
        said(f"words\n== Kept ==\nmore\n=== {titles[0]}: here ===\nx\n{end}")
        == f"words\n\nKept\n\nmore\n\n{titles[0]}: here\n\nx"
    )


def test_in_the_middle_literature_is_a_subject():
    text = "== Literatura ==\nBooks.\n== Música ==\nSongs.\n== Kultur ==\n=== Literatur ===\nVerse.\n== Literatur ==\n* X\n== Weblinks ==\n* Y"
    assert said(text) == "Literatura\n\nBooks.\n\nMúsica\n\nSongs.\n\nKultur\n\nLiteratur\n\nVerse."


# -- the dump


REDIRECTS = """REDIRECT redirect WEITERLEITUNG REDIRECTION REDIRECCIÓN RINVIA PATRZ DOORVERWIJZING ПЕРЕНАПРАВЛЕНИЕ YÖNLENDİRME
    重定向 重新導向 転送 넘겨주기 تحويل"""


def test_redirects_in_other_languages(tmp_path):
    words = REDIRECTS.split()
    pages = [page(f"From {word}", f"#{word} [[B]]") for word in words]
    texts, dropped = articles(tmp_path, dump(*pages, page("B", "#1 in the charts, see redirect [[A]].")))
    assert texts == {"B": "- 1 in the charts, see redirect A."}
    assert dropped == {"reading: redirect": len(words)}


def test_what_is_no_article_is_left_out_with_its_reason(tmp_path):
    xml = dump(
        page("Law", "Words."),
        page("Talk:Law", "Talk.", "<ns>1</ns>"),
        page("User:X/style.css", "a {}", more="<model>css</model>"),
        page("Mercury", "'''Mercury''' may be\n* [[Mercury (planet)]]\n{{Disambiguation}}"),
        page("Lac", "__DISAMBIG__\nx"),
        page("乙", "甲{{消歧义}}"),
        page("Empty", "{{Infobox}}\n[[Category:X]]"),
    )
    texts, dropped = articles(tmp_path, xml)
    assert texts == {"Law": "Words."}
    reasons = {"not an article": 2, "disambiguation": 3, "nothing to see": 1}
    assert dropped == {f"reading: {reason}": count for reason, count in reasons.items()}


def test_dumps_that_do_not_number_their_pages(tmp_path):
    titles = "Star Trek: Voyager/Talk:Law/Benutzer:X/用户讨论:甲/Kategorie:Recht/Re:Zero"
    xml = dump(*(page(title, "Words.", ns="") for title in titles.split("/")))
    texts, dropped = articles(tmp_path, xml)
    assert (set(texts), dropped) == ({"Star Trek: Voyager", "Re:Zero"}, {"reading: not an article": 4})


def test_of_a_history_the_latest_revision_is_read(tmp_path):
    old = "<revision><timestamp>2001-02-03T04:05:06Z</timestamp><text>Old.</text></revision>"
    new = page("T", "In {{CURRENTYEAR}} {{FULLPAGENAME}} is new.", more="<timestamp>2012-05-06T00:00:00Z</timestamp>")
    assert articles(tmp_path, dump(new.replace("<revision>", f"{old}<revision>", 1)))[0] == {"T": "In 2012 T is new."}


@pytest.mark.parametrize(
    "text",
    ["{" * 60_000 + "}" * 60_000, "{{a|" * 30_000, "[[a|" * 30_000 + "]]" * 30_000, "(" * 30_000 + "{{x}}" + ")" * 30_000,
     "{{x}} " * 30_000, "({{x}};" * 20_000, "<ref>" * 30_000, "<!--" * 30_000, "{|" * 30_000, " {| x" * 20_000, "= a " * 30_000 + "=",
     "-{zh:a;" * 20_000, "'" * 60_000, "<sup>" * 20_000, "[http://a " * 20_000, "\n=a=" * 20_000, "{{convert|1|to" * 20_000, "{{nowrap|" * 20_000 + "x" * 9_000 + "}}" * 20_000,
     "{{" + "subst:" * 20_000 + "lang|fr|x}}"],
    ids=lambda text: text[:8].strip(),
)  # fmt: skip
def test_hostile_pages_take_linear_time(text):
    started = time.process_time()
    said(text)
    assert time.process_time() - started < 2
