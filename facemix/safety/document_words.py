"""Words that name identity documents and their portraits; `facemix.safety.document` looks for them.

Only what hardly means anything else: "pass" and "id" alone stand in too many honest sentences.
"""

from __future__ import annotations

# Matched as whole words, whatever their case and accents.
WORDS: tuple[str, ...] = (
    # English
    *("passport", "passports", "visa", "visas", "id photo", "id photos", "id picture", "id card", "id cards"),
    *("identity card", "identity document", "identity photo", "identification photo", "identification card"),
    *("driver's license", "drivers license", "driver license", "driver's licence", "drivers licence"),
    *("driving licence", "driving license", "residence permit", "biometric photo", "biometric portrait"),
    # German
    *("reisepass", "reisepaesse", "passbild", "passbilder", "passfoto", "passfotos", "ausweis", "ausweisfoto"),
    *("personalausweis", "lichtbildausweis", "führerschein", "fuehrerschein", "visum", "biometrisches foto"),
    # French
    *("passeport", "carte d'identité", "pièce d'identité", "photo d'identité", "permis de conduire"),
    *("titre de séjour", "photo biométrique"),
    # Spanish
    *("pasaporte", "documento de identidad", "carné de identidad", "carnet de identidad", "cédula de identidad"),
    *("carné de conducir", "carnet de conducir", "permiso de conducir", "licencia de conducir", "foto carnet"),
    *("visado", "foto de carnet"),
    # Italian
    *("passaporto", "carta d'identità", "documento d'identità", "patente di guida", "fototessera"),
    # Portuguese
    *("passaporte", "bilhete de identidade", "carteira de identidade", "documento de identidade"),
    *("carta de condução", "carteira de motorista", "cartão de cidadão"),
    # Dutch
    *("paspoort", "pasfoto", "identiteitskaart", "identiteitsbewijs", "rijbewijs"),
    # Swedish, Danish, Norwegian
    *("körkort", "kørekort", "førerkort", "passfoto", "pasfoto", "id kort", "id-kort"),
    # Polish
    *("paszport", "paszportu", "dowód osobisty", "dowodu osobistego", "prawo jazdy", "zdjęcie paszportowe"),
    # Turkish
    *("pasaport", "ehliyet", "kimlik kartı", "vesikalık"),
    # Russian and Ukrainian
    *("паспорт", "паспорта", "паспорте", "водительские права", "удостоверение личности", "виза", "визы"),
    *("водійські права", "посвідчення особи"),
    # Arabic
    *("جواز سفر", "جواز السفر", "بطاقة هوية", "رخصة قيادة"),
)
# Matched anywhere: Chinese, Japanese, Korean, in which no spaces stand between words, and Hindi, whose vowel signs are
# no letters to Python.
ANYWHERE: tuple[str, ...] = (
    *("护照", "護照", "身份证", "身份證", "签证", "簽證", "驾照", "驾驶证", "駕照", "证件照", "證件照"),
    *("パスポート", "旅券", "免許証", "身分証", "証明写真"),
    *("여권", "신분증", "운전면허", "증명사진"),
    *("पासपोर्ट", "पहचान पत्र"),
)
