import pytest

from automl.core.errors import SpaceError
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.dimension import dimension_name
from automl.searchspaces.dimension import split_name


def test_names_split_back_even_with_colons_in_the_site():
    assert split_name(dimension_name("precision", "a:b.c")) == ("precision", "a:b.c")


def test_a_dimension_moves_its_own_site_unless_told_otherwise():
    assert Dimension("precision", "a", ("fp", "w8a8"), "fp").sites == ("a",)


@pytest.mark.parametrize(("options", "default"), [((), "fp"), (("fp", "fp"), "fp"), (("fp",), "w8a8")])
def test_bad_options_are_refused(options, default):
    with pytest.raises(SpaceError, match="precision:a"):
        Dimension("precision", "a", options, default)


def test_an_unknown_option_names_the_nearest():
    dimension = Dimension("precision", "a", ("fp", "w8a8"), "fp")
    assert dimension.index("w8a8") == 1
    with pytest.raises(SpaceError, match="did you mean 'w8a8'"):
        dimension.index("w8a9")
