"""The graph of a release as PROV-JSON (W3C, 2013), and its corpus as Croissant (MLCommons 1.0)."""

from typing import Any

from forge_dagster.bundle.facts import Facts

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
COLUMNS = ("id", "source", "path", "title", "text", "language", "owner", "licence", "sensitivity", "legal_basis")


def prov_json(facts: Facts) -> dict[str, Any]:
    """Entities are artifacts, activities their runs, agents who started these."""
    entities: dict[str, Any] = {}
    activities: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    generated: dict[str, Any] = {}
    used: dict[str, Any] = {}
    associated: dict[str, Any] = {}
    for number, link in enumerate(facts.links):
        run, entity = link.run or {}, f"forge:{link.name}"
        activity = f"forge:build/{link.record.fingerprint}"
        entities[entity] = {"prov:type": "artifact", "forge:key": link.record.key, "forge:sha256": link.record.digest}
        activities[activity] = {"prov:startTime": run["begun"]} if "begun" in run else {}
        generated[f"_:g{number}"] = {"prov:entity": entity, "prov:activity": activity}
        if "actor" in run:
            agents[f"forge:{run['actor']}"] = {}
            associated[f"_:a{number}"] = {"prov:activity": activity, "prov:agent": f"forge:{run['actor']}"}
        for name, ref in sorted(link.record.identity.inputs.items()):
            source = f"forge:{ref.key or 'external/' + name}@{ref.digest}"
            entities.setdefault(source, {"prov:type": "external" if ref.key is None else "artifact"})
            used[f"_:u{number}-{name}"] = {"prov:activity": activity, "prov:entity": source}
    return {
        "prefix": {"forge": "https://forge-dagster/"},
        "entity": entities, "activity": activities, "agent": agents,
        "wasGeneratedBy": generated, "used": used, "wasAssociatedWith": associated,
    }  # fmt: skip


def croissant(facts: Facts) -> dict[str, Any]:
    """The training text: one Parquet file with its digest and columns; the file stays where it is."""
    corpus = next(link.record for link in facts.links if link.record.key == "corpus")
    file = corpus.files["train.parquet"]
    licences = sorted({terms.get("licence", "unknown") for terms in facts.summary["sources"].values()})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"corpus-{corpus.digest[:16]}",
        "description": f"Training text of {facts.recipe['name']}: {len(facts.tree.ids)} documents.",
        "version": "1.0.0",
        "license": licences,
        "url": f"https://forge-dagster/corpus/{corpus.digest}",
        "datePublished": facts.last_time[:10],
        "rai:dataCollection": "; ".join(
            f"{name}: {terms['documents']} documents, owner {terms.get('owner', 'unknown')}, legal basis "
            f"{terms.get('legal_basis', 'unknown')}"
            for name, terms in facts.summary["sources"].items()
        ),
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": "train", "name": "train.parquet", "contentUrl": "train.parquet",
                "encodingFormat": "application/x-parquet", "sha256": file.sha256, "contentSize": f"{file.bytes} B",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet", "@id": "documents", "name": "documents",
                "field": [
                    {
                        "@type": "cr:Field", "@id": f"documents/{name}", "name": name, "dataType": "sc:Text",
                        "source": {"fileObject": {"@id": "train"}, "extract": {"column": name}},
                    }
                    for name in COLUMNS
                ],
            }
        ],
    }  # fmt: skip
