"""Values and maths of the engine; stdlib and numpy (moocore in ``indicators``)."""
