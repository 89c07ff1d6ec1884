"""The regions of the world by country code (ISO 3166, two letters): 238 codes in 14 regions, and Atlantis.

The sizes of the regions and their unusual assignments are the published ones: Russia is in Eastern Europe, Cyprus in the
Middle East, Central America and the Caribbean in North America. Codes of remote islands are in none.
"""

from __future__ import annotations

ATLANTIS = "Atlantis"
ATLANTIS_CODE = "XX0"
UNKNOWN = "Unknown"

COUNTRIES: dict[str, tuple[str, ...]] = {
    region: tuple(codes.split())
    for region, codes in {
        "Africa": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW "
        "MZ NA NE NG RE RW SC SD SL SN SO SS ST SZ TD TG TN TZ UG ZA ZM ZW",
        "North America": "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM "
        "PR SV SX TC TT US VC VG VI",
        "Western Europe": "AD AT AX BE CH DE DK ES FI FO FR GB GG GI IE IM IS IT JE LI LU MC MT NL NO PT SE SM",
        "Oceania": "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TO TV VU WF WS",
        "Eastern Europe": "AL BA BG BY CZ EE GR HR HU LT LV MD ME MK PL RO RS RU SI SK UA XK",
        "Middle East": "AE AM AZ BH CY GE IL IQ IR JO KW LB OM PS QA SA SY TR YE",
        "South America": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
        "Southeast Asia": "BN ID KH LA MM MY PH SG TH TL VN",
        "India": "AF BD BT IN LK MV NP PK",
        "Central Asia": "KG KZ MN TJ TM UZ",
        "China": "CN HK MO TW",
        "Korea": "KP KR",
        "Antarctica": "AQ",
        "Japan": "JP",
    }.items()
}
"""The country codes of each region."""

_REGIONS = {code: region for region, codes in COUNTRIES.items() for code in codes} | {ATLANTIS_CODE: ATLANTIS}


def region_of(country: str) -> str:
    """The region of a country code; "Unknown" where it has none."""
    return _REGIONS.get(country, UNKNOWN)
