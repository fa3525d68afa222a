from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.sweep_config import make_sweep
from automl.sweep_config import read_sweep

FULL = {
    "models": ["a:build", {"model": "timm:resnet18", "data": "photos"}],
    "targets": ["openvino", "onnxruntime"],
    "budgets": ["latency=0.6x", ["latency=0.8x", "size=4MB"], []],
    "strategies": ["random", "evolutionary"],
    "seeds": [0, 7],
    "trials": 12,
    "data": "digits.npz",
}


def test_cells_are_the_product_of_the_lists():
    cells = make_sweep(FULL).cells()
    assert len(cells) == 2 * 2 * 3 * 2 * 2
    assert len({cell.name for cell in cells}) == len(cells)
    assert {c.config.seed for c in cells} == {0, 7}
    assert {c.config.budget for c in cells} == {("latency=0.6x",), ("latency=0.8x", "size=4MB"), ()}
    assert all(c.config.trials == 12 for c in cells)


def test_what_a_model_brings_wins_over_what_all_share():
    data = {c.config.model: c.config.data for c in make_sweep(FULL).cells()}
    assert data == {"a:build": "digits.npz", "timm:resnet18": "photos"}


def test_an_item_alone_is_a_list_of_one_and_the_rest_has_defaults():
    (cell,) = make_sweep({"models": "a:build", "budgets": "drop=1%"}).cells()
    assert cell.label == ("a:build", "openvino", "drop=1%", "evolutionary", 0)


def test_a_cell_keeps_its_name_when_others_join():
    few = {c.name for c in make_sweep({"models": ["a:build"], "seeds": [3]}).cells()}
    many = {c.name for c in make_sweep({"models": ["b:build", "a:build"], "seeds": [1, 2, 3]}).cells()}
    assert few < many


def test_sweeps_of_different_names_record_under_different_names():
    one, other = (make_sweep({"models": "a:build"}, name=name).cells()[0].name for name in ("x", "y"))
    assert one != other


def test_names_are_fit_for_folders():
    name = make_sweep({"models": "pkg/mod.py:build", "budgets": "accuracy>=0.7"}).cells()[0].name
    assert not set(name) & set("/\\:<> ")


def test_yaml_out_is_yaml_in(tmp_path):
    sweep = make_sweep(FULL, name="night")
    file = tmp_path / "other.yaml"
    file.write_text(sweep.to_yaml())
    assert read_sweep(file) == sweep


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modles": ["x"]}, r"unknown key 'modles'; did you mean 'models'\?.*choose one of"),
        ({"model": "x"}, r"key 'model' belongs to one search; a sweep takes a list, for example models: \["),
        ({"seed": 3}, r"key 'seed' belongs to one search.*seeds: \[0, 1, 2\]"),
        ({"models": []}, r"key 'models': the list is empty; write for example models: \["),
        ({"models": [3]}, r"key 'models': a name is wanted, got 3; write for example"),
        ({"models": [{"model": "x", "trials": 3}]}, r"key 'models': unknown setting of a model 'trials'"),
        ({"models": [{"data": "x"}]}, r"key 'models': no model is given"),
        ({"seeds": ["one"]}, r"key 'seeds': a whole number of at least 0 is wanted, got 'one'"),
        ({"seeds": [True]}, r"key 'seeds': a whole number of at least 0 is wanted, got True"),
        ({"seeds": [-1]}, r"key 'seeds': .*got -1"),
        ({"seeds": [1, 1]}, r"key 'seeds': 1 is listed twice; list each item once"),
        ({"budgets": [5]}, r"key 'budgets': a text or a list of texts is wanted, got 5"),
        ({"budgets": ["latency=0ms"]}, r"key 'budgets': .*latency=0ms"),
        ({"budgets": None}, r"key 'budgets': .*got None"),
        ({"strategies": [""]}, r"key 'strategies': a name is wanted, got ''"),
        ({"effort": "lazy"}, r"the settings of every cell: unknown effort 'lazy'"),
        ({"workers": 0}, r"the settings of every cell: setting workers=0: it must be at least 1"),
        ({"time": "soon"}, r"the settings of every cell: cannot read the time limit 'soon'"),
        ({"name": "../up"}, r"key 'name': it names a folder, got '\.\./up'"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(change, said):
    with pytest.raises(ConfigError, match=said):
        make_sweep({"models": ["a:build"], **change})


@pytest.mark.parametrize(
    "change",
    [{"models": ["a:build", {"model": "a:build"}]}, {"budgets": ["drop=1%", [" drop=1% "]]}],
)
def test_one_search_written_in_two_ways_is_refused(change):
    with pytest.raises(ConfigError, match="is listed twice"):
        make_sweep({"models": ["a:build"], **change})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [a\nseeds: 0", r"s\.yaml is not YAML at line \d"),
        ("- a\n- b", r"s\.yaml must be a mapping with the key 'models'; got list"),
        ("", r"got NoneType"),
        ("seeds: [1]", r"s\.yaml: the key 'models' is missing; write for example models: \["),
        ("models: [a]\nseeds: x", r"s\.yaml: key 'seeds'"),
    ],
)
def test_a_file_that_is_no_sweep_is_one_sentence(tmp_path, text, said):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_sweep(tmp_path / "s.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; give a YAML file"):
        read_sweep(tmp_path / "no.yaml")


def test_seeds_see_the_same_samples_unless_the_sweep_says_otherwise():
    def drawn(**more):
        return {
            c.config.drawn_seed for c in make_sweep({"models": "a:build", "seeds": [1, 2], **more}).cells()
        }

    assert drawn() == {0}
    assert drawn(data_seed=5) == {5}
    assert drawn(data_seed=None) == {1, 2}
