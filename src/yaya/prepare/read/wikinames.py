"""Names that wikis use: namespaces, languages, redirects, sections after the text, disambiguation pages.

In the tables a blank separates names, and _ is a blank within a name. All but the codes of languages are lower-case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

MEDIA, FILE, CATEGORY, OTHER = -2, 6, 14, 4  # MediaWiki's numbers; OTHER stands for all pages about the wiki itself


def words(table: str) -> list[str]:
    """`a b_c` -> ["a", "b c"]."""
    return [name.replace("_", " ") for name in table.split()]


# A line a language: its codes; names for pictures and sounds; names for categories. A dump names its own, but not the
# other ones that its pages may use ("Bild" beside "Datei", in Chinese all but the English ones).
PICTURES_AND_CATEGORIES = """
en: file image media; category
de als bar nds: datei bild medium; kategorie
fr oc: fichier image média; catégorie categoria
es an ast: archivo imagen medio; categoría
it scn nap: file immagine; categoria
pt: ficheiro arquivo imagem multimédia; categoria
nl fy li: bestand ofbyld afbeelding; categorie kategory
pl szl: plik grafika; kategoria
ru: файл изображение медиа; категория
uk: файл зображення медіа; категорія
be be-tarask be-x-old: файл выява; катэгорыя
bg: файл картинка медия; категория
sr: датотека слика медиј datoteka slika; категорија kategorija
mk: податотека слика; категорија
sv: fil bild; kategori
no nb nn da: fil bilde billede; kategori
fi: tiedosto kuva; luokka
is: mynd; flokkur
et: fail pilt; kategooria
lv: attēls; kategorija
lt: vaizdas; kategorija
hr bs sh sl: slika datoteka; kategorija
cs: soubor; kategorie
sk: súbor obrázok; kategória
hu: fájl kép; kategória
ro: fișier imagine; categorie
el: αρχείο εικόνα; κατηγορία
tr: dosya resim ortam; kategori
az: fayl şəkil; kateqoriya
uz: fayl; turkum
kk: файл сурет; санат
ca: fitxer imatge; categoria
gl: ficheiro imaxe; categoría
eu: fitxategi irudi; kategoria
eo: dosiero; kategorio
la: fasciculus imago; categoria
af: lêer beeld; kategorie
id jv su: berkas gambar; kategori
ms: fail imej; kategori
vi: tập_tin hình phương_tiện; thể_loại
th: ไฟล์ ภาพ; หมวดหมู่
ko: 파일 그림 미디어; 분류
ja: ファイル 画像 メディア; カテゴリ
zh zh-classical zh-yue yue wuu gan lzh: 文件 檔案 档案 图像 圖像 媒体 媒體; 分类 分類
ar arz: ملف صورة وسائط; تصنيف
fa: پرونده تصویر; رده
he: קובץ תמונה; קטגוריה
ur: ملف; زمرہ
hi mr ne: चित्र; श्रेणी वर्ग
bn: চিত্র; বিষয়শ্রেণী
ta: படிமம்; பகுப்பு
te: దస్త్రం; వర్గం
ka: ფაილი სურათი; კატეგორია
hy: պատկեր; կատեգորիա
sq: skeda figura; kategoria
cy: delwedd; categori
"""
# Needed where a dump numbers no namespaces: what stands before the colon of a title that is no article's.
ABOUT_THE_WIKI = """
special talk user user_talk project project_talk wikipedia wikipedia_talk file_talk image_talk mediawiki mediawiki_talk
template template_talk help help_talk category_talk portal portal_talk draft draft_talk module module_talk timedtext
spezial diskussion benutzer benutzerin benutzer_diskussion vorlage vorlage_diskussion hilfe portal_diskussion modul
spécial discussion utilisateur utilisatrice discussion_utilisateur modèle aide portail projet wikipédia
especial discusión usuario usuaria usuario_discusión plantilla ayuda anexo wikiproyecto módulo
speciale discussione utente discussioni_utente aiuto portale progetto discussão usuário usuária utilizador predefinição
ajuda wikipédia_discussão overleg gebruiker overleg_gebruiker sjabloon portaal dyskusja wikipedysta wikipedystka
użytkownik szablon pomoc википедия обсуждение участник участница обсуждение_участника шаблон справка портал проект
вікіпедія обговорення користувач користувачка довідка модуль vikipedi tartışma kullanıcı kullanıcı_mesaj şablon yardım
thảo_luận thành_viên bản_mẫu trợ_giúp chủ_đề ويكيبيديا نقاش مستخدم نقاش_المستخدم قالب مساعدة بوابة
위키백과 토론 사용자 사용자토론 틀 틀토론 도움말 위키프로젝트 利用者 利用者‐会話 利用者・トーク ノート ヘルプ プロジェクト
维基百科 維基百科 讨论 討論 对话 對話 用户 用戶 使用者 用户讨论 用戶討論 使用者討論 模板 样板 樣板 帮助 幫助 說明 使用說明 主题 主題 模块 模塊 草稿
"""
# Codes of all Wikipedias, and what was written for some of them before.
LANGUAGES = frozenset(
    words(
        """
aa ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg bcl be
be-tarask be-x-old bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs
csb cu cv cy da dag de din diq dsb dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fr frp frr fur fy ga
gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia id ie ig
ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg ki kj kk kl km kn ko koi kr krc ks ksh ku kv kw ky la
lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mr
mrj ms mt mus mwl my myv mzn na nah nan nap nb nds nds-nl ne new ng nia nl nn no nov nqo nrm nso nv ny oc olo om or os pa
pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara ru rue rup rw sa sah sat sc
scn sco sd se sg sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy te
tet tg th ti tk tl tly tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh
xmf yi yo yue za zea zh zh-classical zh-cn zh-min-nan zh-tw zh-yue zu
"""
    )
)
CONVERTED = frozenset(
    words("zh zh-classical zh-yue yue wuu gan sr sh kk ku iu shi tg tly uz crh ban")
)  # -{ }- is markup

REDIRECT = re.compile(
    r"\s*[#＃]\s*(?:redirect|redirection|redirección|redireccion|redirecció|redirecionamento|weiterleitung|rinvia|patrz"
    r"|przekieruj|tam|doorverwijzing|перенаправление|перенапр|перенаправлення|перанакіраванне|пренасочване|виж|преусмери"
    r"|omdirigering|ohjaus|uudelleenohjaus|přesměruj|presmeruj|átirányítás|ανακατευθυνση|yönlendirme|yönlendi̇rme|alih"
    r"|lencong|đổi|đổi_hướng|เปลี่ยนทาง|넘겨주기|転送|リダイレクト|重定向|重新導向|تحويل|تغییر_مسیر|تغییرمسیر|הפניה"
    r"|पुनर्प्रेषित|अनुप्रेषित|পুনর্নির্দেশ|birzuzendu|alidirektu|adkas|ail-cyfeirio|tilvísun|suuna|preusmjeri|preusmeritev)"
    r"\s*:?\s*\[\[",
    re.IGNORECASE,
)
DISAMBIGUATION = frozenset(
    words(
        """
disambiguation disambig disamb dab hndis geodis human_name_disambiguation place_name_disambiguation mil-unit-dis
school_disambiguation hospital_disambiguation station_disambiguation letter-number_combination_disambiguation
letter-numbercombdisambig mathematical_disambiguation number_disambiguation disambiguation_cleanup
begriffsklärung homonymie toponymie patronymie desambiguación desambiguação disambigua ujednoznacznienie doorverwijspagina
dp неоднозначность многозначность неоднозначність förgrening flertydig peker fleirtyding täsmennyssivu rozcestník egyért
dezambiguizare αποσαφήνιση anlam_ayrımı توضيح ابهام‌زدایی פירושונים disambiguasi trang_định_hướng định_hướng แก้ความกำกวม
동음이의 동음이의어_문서 aimai 曖昧さ回避 人名の曖昧さ回避 地名の曖昧さ回避 消歧义 消歧義 消歧义页 消歧義頁 desambiguació razvrstavanje
"""
    )
)
# Sections without text, such as links and footnotes. Those of the second list are left out at the end of an article
# only: in its middle, "Literature" tells of a country's books.
NO_TEXT = frozenset(
    words(
        """
see_also references external_links external_link further_reading notes footnotes citations works_cited
siehe_auch weblinks weblink einzelnachweise einzelnachweis anmerkungen fußnoten
voir_aussi liens_externes lien_externe références articles_connexes liens_internes pour_en_savoir_plus
véase_también enlaces_externos enlace_externo referencias lectura_adicional
ver_também ligações_externas ligação_externa referências leitura_adicional leituras_adicionais
voci_correlate altri_progetti collegamenti_esterni riferimenti zie_ook externe_links externe_link referenties
zobacz_też przypisy linki_zewnętrzne uwagi см._также смотри_также примечания ссылки сноски внешние_ссылки
див._також примітки посилання виноски зовнішні_посилання вижте_още външни_препратки бележки
види_још спољашње_везе референце напомене vidi_još vanjske_poveznice spoljašnje_veze
se_även externa_länkar referenser fotnoter se_også eksterne_lenker eksterne_henvisninger referanser fodnoter
katso_myös aiheesta_muualla viitteet související_články související_stránky externí_odkazy poznámky
pozri_aj iné_projekty externé_odkazy referencie lásd_még kapcsolódó_szócikkek külső_hivatkozások jegyzetek további_információk
vezi_și legături_externe referințe δείτε_επίσης εξωτερικοί_σύνδεσμοι παραπομπές ayrıca_bakınız dış_bağlantılar kaynakça dipnotlar
xem_thêm liên_kết_ngoài chú_thích tham_khảo đọc_thêm lihat_pula lihat_juga pranala_luar pautan_luar referensi rujukan catatan_kaki
vegeu_també enllaços_externs referències ikus,_gainera kanpo_estekak erreferentziak
انظر_أيضا انظر_أيضًا انظر_أيضاً وصلات_خارجية روابط_خارجية المراجع مراجع هوامش
جستارهای_وابسته پیوند_به_بیرون منابع پانویس ראו_גם קישורים_חיצוניים הערות_שוליים לקריאה_נוספת
อ้างอิง แหล่งข้อมูลอื่น ดูเพิ่ม सन्दर्भ संदर्भ बाहरी_कड़ियाँ इन्हें_भी_देखें তথ্যসূত্র বহিঃসংযোগ আরও_দেখুন
같이_보기 각주 외부_링크 참고_문헌 참고문헌 참고_자료 관련_항목 더_읽을거리
脚注 関連項目 外部リンク 参考文献 注釈 出典 参考資料 関連文献 関連書籍
參考文獻 参考资料 參考資料 外部链接 外部連結 外部鏈接 外部连结 参见 參見 腳註 腳注 注脚 註腳 延伸阅读 延伸閱讀 相关条目 相關條目
参考 參考 参考来源 參考來源 参考书目 參考書目 参考链接 參考連結 相关链接 相關連結 参看 參看 参阅 參閱 另见 另見 资料来源 資料來源
内部链接 內部連結 相關書籍
"""
    )
)
NO_TEXT_AT_THE_END = NO_TEXT | frozenset(
    words(
        """
sources bibliography literature gallery literatur quellen belege galerie bibliographie sources annexes annexe
literatura bibliografía fuentes notas galería anexos bibliografia fontes note fonti galleria literatuur bronnen noten
bibliografie źródła источники литература библиография комментарии галерея джерела література бібліографія
източници литература литература извори izvori bibliografija källor litteratur noter kilder lähteet kirjallisuutta reference
odkazy zdroje források irodalom surse βιβλιογραφία πηγές σημειώσεις kaynaklar notlar nguồn ghi_chú sumber catatan
مصادر المصادر ملاحظات یادداشت‌ها מקורות 출처 주해 文献 文獻 来源 來源 引用 注解 註解 备注 備註 注释 註釋 注釋 图集 圖集 画廊 畫廊
"""
    )
)
JOINED = re.compile(  # Notes et références; 脚注・出典
    r"\s*[,&/・、]\s*|\s(?:and|und|et|y|e|ed|en|en/of|og|och|i|и|та|й|και|ve|và|dan|și|ja|és|eta)\s|[와과]\s|\s및\s|\sو|[和与與及]"
)


@dataclass(frozen=True)
class Site:
    """The wiki that a page comes from: its language ("" if unknown) and the number of each namespace by name."""

    language: str = ""
    spaces: dict[str, int] = field(default_factory=lambda: known_spaces({}))

    def space(self, name: str) -> int:
        """The number of the namespace of that name; 0 where it is none."""
        return self.spaces.get(name.strip().replace("_", " ").lower(), 0)


def known_spaces(own: dict[str, int], language: str = "") -> dict[str, int]:
    """Namespaces by name: a wiki's own, the English ones that all wikis know, and others of its language; of a wiki that
    tells nothing about itself the names in every language."""
    unknown = not (own or language)
    spaces = dict.fromkeys(words(ABOUT_THE_WIKI), OTHER) if unknown else {}
    for line in PICTURES_AND_CATEGORIES.strip().split("\n"):
        codes, _, names = line.partition(":")
        pictures, categories = (words(part) for part in names.split(";"))
        if unknown or codes == "en" or language in codes.split() or any(own.get(name) == FILE for name in pictures):
            spaces |= dict.fromkeys(pictures, FILE) | dict.fromkeys(categories, CATEGORY)
    return spaces | own


def site_of(language: str, namespaces: Iterable[tuple[int, str]]) -> Site:
    """The site of a dump that says `xml:lang="de"` and `<namespace key="6">Datei</namespace>`."""
    language = language.lower()
    language = language if language in LANGUAGES else language.partition("-")[0]
    own = {name.lower(): number for number, name in namespaces if name and number}
    return Site(language, known_spaces(own, language))
