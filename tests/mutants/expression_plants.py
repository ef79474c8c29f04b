"""Planted bugs of the expression language. Histories draw few of its words, so its own tests look for them."""

from __future__ import annotations

from tests.mutants.plant import Plant

LANGUAGE = "engine/query/expression/"
ORACLE = "tests/engine/test_expression_oracle.py"
TABLES = "tests/engine/test_expression_semantics.py"
JSON = "tests/engine/test_expression_json.py"
PRESENT = "tests/engine/test_expression_present.py"

EXPRESSIONS = (
    Plant(
        "true is a number",
        LANGUAGE + "document.py",
        "return int if found is float else found",
        "return int if found in (float, bool) else found",
        "1 and true in a document are equal",
        tests=(ORACLE, TABLES),
        quick=True,
    ),
    Plant(
        "unknown is every",
        LANGUAGE + "lambdas.py",
        "return all(call(env, item, place) is True for",
        "return all(call(env, item, place) is not False for",
        "every() is true where it is not known of an item",
        tests=(TABLES,),
    ),
    Plant(
        "functions share a parameter",
        LANGUAGE + "check_json.py",
        "first = sum(map(len, self.scopes))",
        "first = 0",
        "a function within a function overwrites what the outer one was given",
        tests=(TABLES,),
    ),
    Plant(
        "functions take a null as nothing",
        "engine/operators/evaluate_cells.py",
        "return placed, [*items, None]",
        "return placed, [*items, 0]",
        "over many rows a null column beside an array counts as zero",
        tests=(TABLES, ORACLE),
    ),
    Plant(
        "functions are free of charge",
        LANGUAGE + "lambdas.py",
        "left = env[0] = env[0] - cost",
        "left = env[0]",
        "functions within functions hold the server up for minutes",
        tests=(TABLES,),
    ),
    Plant(
        "a document is not measured",
        LANGUAGE + "document.py",
        "if levels_exceed(text, MAX_LEVELS):",
        "if levels_exceed(text, 9 * MAX_LEVELS):",
        "documents of hundreds of levels are read",
        tests=(JSON,),
    ),
    Plant(
        "a hole ends at the first brace",
        LANGUAGE + "literals.py",
        'elif character == "}" and depth:',
        'elif character == "}" and depth < 0:',
        "a template with braces in a hole is refused",
        tests=(JSON,),
    ),
    Plant(
        "time stands still for batches",
        "engine/operators/predicate_expression.py",
        "return evaluator.holds(read, len(read(first)[0]), present.now_us)",
        "return evaluator.holds(read, len(read(first)[0]), 0)",
        "a filter with now() never loses rows that many share",
        tests=(PRESENT,),
        quick=True,
    ),
    Plant(
        "a null part takes its template along",
        LANGUAGE + "check_operators.py",
        'filled = [self.checker.call(Type.STRING, "coalesce", text, empty, at=node) for text in texts]',
        "filled = texts",
        "a name without a first name is no name at all",
        tests=(TABLES,),
    ),
)
