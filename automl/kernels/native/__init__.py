"""Kernels in C++ for the CPU: compiled on first use with the system's compiler, called through ctypes.

``sources`` holds the code. ``toolchain.py`` finds a compiler and the thread pool that torch runs on,
``building.py`` compiles into the user's cache, ``library.py`` loads the result or says why there is none.
"""
