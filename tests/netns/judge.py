#!/usr/bin/python3
"""Judges answers by the daemon's own description, or by a JSON schema with `$defs`, with python3-jsonschema.

judge.py DESCRIPTION: each line of standard input is {"what": …, "answer": …} with either "schema", the name of one, or
"operation", its method and its path, and "status". Prints what is wrong, a line each, and ends with 1 where something is. A field that is
not described is wrong, too.
"""
import json
import sys

from jsonschema import Draft202012Validator


def shapes(document):
    return document["$defs"] if "$defs" in document else document["components"]["schemas"]


def name_of(reference):
    return reference.rsplit("/", 1)[1]


def inlined(document, schema, is_closed=True):
    """The schema with what it refers to in its place, and no other fields than those that it names."""
    if isinstance(schema, list):
        return [inlined(document, one, is_closed) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(document, shapes(document)[name_of(schema["$ref"])], is_closed)
    # The members of a whole see each other's fields.
    is_whole = "allOf" in schema
    made = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: inlined(document, inner) for name, inner in value.items()}
        elif key in ("allOf", "oneOf", "anyOf"):
            made[key] = inlined(document, value, is_closed and not is_whole)
        elif key in ("items", "additionalProperties"):
            made[key] = inlined(document, value)
        else:
            made[key] = value
    if is_closed and is_whole:
        made["unevaluatedProperties"] = False
    elif is_closed and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def schema_of(document, asked):
    if "schema" in asked:
        return shapes(document)[asked["schema"]]
    method, path = asked["operation"].split(" ")
    responses = document["paths"][path][method]["responses"]
    described = responses.get(asked["status"]) or responses[f"{asked['status'][0]}XX"]
    (content,) = described["content"].values()
    return content["schema"]


def named(part):
    """Every schema that the description refers to."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict) and "$ref" in part:
        yield name_of(part["$ref"])
    for one in inner:
        yield from named(one)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    missing = set(named(document)) - set(shapes(document))
    problems = [f"the description refers to {name}, and has none" for name in missing]
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            schema = inlined(document, schema_of(document, asked))
        except KeyError as missing:
            problems.append(f"{asked['what']}: the description has no {missing}")
            continue
        Draft202012Validator.check_schema(schema)
        for error in Draft202012Validator(schema).iter_errors(asked["answer"]):
            problems.append(f"{asked['what']}: {error.json_path}: {error.message}")
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
