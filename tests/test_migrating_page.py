"""docs/MIGRATING.md is whole: every snippet and class of the guide has its row, and every row a test that exists.

The guide itself is no part of this repository, so what it holds is listed here: its sections, the headings with code
below them, the classes of that code with their methods, and the single things that its other snippets show.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tesseract_grpc.client.core.alterations import READERS
from tesseract_grpc.client.evolve.errors import SchemaReason

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "MIGRATING.md").read_text()

GUIDE: dict[str, dict[str, tuple[str, ...]]] = {
    "Version Compatibility": {
        "From v1.x to v2.x": ("tesseract.Table('users', config)", "createTesseract('users', config)"),
        "Session API Changes": ("table.createSession(config)", "eventHorizon.createSession({id"),
    },
    "Migration Strategies": {
        "Gradual Migration Approach": ("TesseractV1Compatibility", "createTable", "getTable", "primaryKey: true"),
        "Database-First Migration": ("DatabaseMigrator", "migrateTable", "batchSize", "transformData"),
    },
    "Data Migration": {
        "Backup and Restore": ("TesseractBackup", "backupTable", "restoreTable", "inferSchema", "not found"),
        "Schema Evolution": (
            "SchemaMigrator",
            "addMigration(version, migration)",
            "migrate('users', 1, 3)",
            "addMigration(2",
            "addMigration(3",
            "removeTesseract",
            "renameTesseract",
        ),
    },
    "API Changes": {
        "Updated Sorting API": ("compareFn", "created_at', direction: 'desc'", "compare }", "manualSort"),
        "Enhanced Filter API": ("value: 'active'", "==", "type: 'custom'", "`in`", "between", "enhanced-filters"),
        "Event System Updates": (
            "on('change'",
            "on('add')",
            "on('update')",
            "on('remove')",
            "on('data'",
            "filterChange",
        ),
    },
    "Performance Optimizations": {
        "Memory Management": (
            "MemoryOptimizedTesseract",
            "createTable",
            "autoCleanup",
            "setupAutoCleanup",
            "performCleanup",
            "maxAge",
            "maxRecords",
            "destroy",
            "secondaryIndexes",
            "compressionThreshold",
        ),
        "Query Optimization": (
            "QueryOptimizer",
            "createOptimizedSession",
            "optimizeQuery",
            "optimizeFilters",
            "getFilterScore",
            "optimizeSorting",
            "generateCacheKey",
            "setupCacheInvalidation",
            "clearCache",
            "getCacheStats",
        ),
    },
    "Troubleshooting": {
        "Common Issues and Solutions": (
            "TesseractTroubleshooter",
            "diagnoseTable",
            "estimateMemoryUsage",
            "analyzeColumns",
            "detectPerformanceIssues",
            "generateRecommendations",
            "formatBytes",
            "runPerformanceTest",
        ),
        "Debug Mode": (
            "TesseractDebugger",
            "enableDebug",
            "setupDebugHandlers",
            "getDebugLogs",
            "clearDebugLogs",
            "exportDebugLogs",
        ),
    },
}
CLASSES = (
    "TesseractV1Compatibility DatabaseMigrator TesseractBackup SchemaMigrator MemoryOptimizedTesseract QueryOptimizer "
    "TesseractTroubleshooter TesseractDebugger"
).split()


def rows_of(section: str) -> list[list[str]]:
    """The cells of the table of a section, without its head."""
    text = PAGE.partition(f"\n### {section}\n")[2].partition("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


@cache
def functions_in(path: str) -> frozenset[str]:
    """The names of the test functions of a file; none where there is no file."""
    file = ROOT / path
    tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("section", GUIDE)
def test_every_snippet_has_its_row(section: str) -> None:
    rows = rows_of(section)
    assert list(dict.fromkeys(row[0] for row in rows)) == list(GUIDE[section]), "the headings, in the guide's order"
    for heading, parts in GUIDE[section].items():
        shown = " ".join(row[1] for row in rows if row[0] == heading)
        assert [part for part in parts if part not in shown] == [], heading


@pytest.mark.parametrize("section", GUIDE)
def test_every_row_says_what_is_here_and_names_a_test(section: str) -> None:
    for heading, snippet, ours, test in rows_of(section):
        path, _, name = test.strip("`").partition("::")
        assert ours, (heading, snippet)
        assert name in functions_in(path), (heading, snippet, test)


def test_no_test_of_the_guide_stands_alone() -> None:
    """Each test of a snippet is named by a row, so that a row cannot be lost unnoticed."""
    named = {row[3].strip("`") for section in GUIDE for row in rows_of(section)}
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests" / "client").glob("test_guide_*.py"))
    assert len(files) == 4
    assert {f"{path}::{name}" for path in files for name in functions_in(str(path))} == named


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_section_with_an_example_that_runs(name: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    anchor = re.search(r"\(#([\w-]+)\)", row)
    assert anchor is not None
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    wanted = [text for text in sections if text.partition("\n")[0].lower().replace(" ", "-") == anchor[1]]
    assert len(wanted) == 1, anchor[1]
    assert "<!-- run -->\n```python\n" in wanted[0]


def test_the_page_lists_alterations_and_reasons() -> None:
    section = PAGE.partition("\n## Schema evolution\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)\(", section, re.MULTILINE) == list(READERS)
    reasons = section.partition("\n### Reasons\n")[2]
    assert sorted(re.findall(r"^\| `([A-Z_]+)` \|", reasons, re.MULTILINE)) == sorted(
        each.value for each in SchemaReason
    )
