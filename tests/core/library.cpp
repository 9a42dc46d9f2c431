#include "hdap/core/library.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using Catch::Matchers::Contains;

TEST_CASE("a library that is missing is named, with what to do", "[library]") {
    CHECK_THROWS_WITH(core::library_symbol("nosuch", "f", "build it"),
                      Contains("cannot load libhdap_nosuch.so: ") && Contains("; build it"));
    CHECK_THROWS_AS(core::library_symbol("nosuch", "f", ""), core::InternalError);
}

TEST_CASE("a symbol that a library lacks is named", "[library]") {
    CHECK_THROWS_WITH(core::library_symbol("core", "no_such_symbol", "install one version"),
                      Contains("no_such_symbol") && Contains("; install one version"));
}
