from __future__ import annotations

import json


def test_the_front_is_shown_with_the_pick(shell, digits_run):
    said = shell("show", digits_run.folder)
    assert said.code == 0
    assert all(found.id in said.out for found in digits_run.front)
    assert "latency=1.5x" in said.out


def test_one_model_is_shown_by_the_start_of_its_id(shell, digits_run):
    said = shell("show", digits_run.folder, digits_run.best.id[:6])
    assert said.code == 0
    assert f"model {digits_run.best.id}" in said.out
    for site in ("stem", "blocks.0.conv1", "head"):
        assert site in said.out
    assert "accuracy" in said.out


def test_json_is_one_object(shell, digits_run):
    said = shell("show", digits_run.folder, "--json")
    body = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert body["best"] == digits_run.best.id
    assert body["run"] == str(digits_run.folder)


def test_an_unknown_id_names_the_known_ones(shell, digits_run):
    said = shell("show", digits_run.folder, "zzzz")
    assert said.code == 2
    assert digits_run.best.id in said.err


def test_a_folder_without_an_answer_says_how_to_get_one(shell, tmp_path):
    said = shell("show", tmp_path)
    assert said.code == 2
    assert "is no run folder" in said.err


def test_the_kernel_of_every_site_is_shown_with_the_reasons(shell, torch_run):
    member = next(m for m in torch_run.front if "w8a8" in m.candidate.as_dict.values())
    said = shell("show", torch_run.folder, member.id)
    assert said.code == 0
    assert "w8a8_linear" in said.out
    assert "why not another" in said.out
    body = json.loads(shell("show", torch_run.folder, "--json").out)
    row = next(r for r in body["front"] if r["id"] == member.id)
    assert "cpu" in {s["implementation"] for s in row["served"]}


def test_how_a_device_was_timed_is_shown_where_the_answer_has_it(shell, copied_run):
    file = copied_run / "answer.json"
    answer = json.loads(file.read_text())
    assert "timed by" not in shell("show", copied_run, answer["best"]).out
    for member in answer["front"]:
        member["measurement"]["facts"]["latency_timed"] = "replays of a captured graph"
    file.write_text(json.dumps(answer))
    assert "timed by replays of a captured graph" in shell("show", copied_run, answer["best"]).out
    body = json.loads(shell("show", copied_run, "--json").out)
    assert {row["latency_timed"] for row in body["front"]} == {"replays of a captured graph"}
