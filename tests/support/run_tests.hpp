#pragma once

namespace hdap::test {

/// Runs the tests of the program that the arguments of main select; returns 0 when all pass. The
/// tests of a/b.cpp have the tag [#b].
int run_tests(int argc, char** argv);

} // namespace hdap::test
