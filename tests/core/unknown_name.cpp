#include "hdap/core/unknown_name.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using hdap::core::unknown_name;

namespace {

const std::vector<std::string> known{"simulated", "recorded"};

} // namespace

TEST_CASE("a name that nothing is like is shown with the known ones") {
    CHECK(unknown_name("latency source", "oracle", known) ==
          "unknown latency source 'oracle'; known: simulated, recorded");
    CHECK(unknown_name("latency source", "", known) ==
          "unknown latency source ''; known: simulated, recorded");
}

TEST_CASE("a misspelt name is shown with the nearest of the known ones") {
    CHECK(
        unknown_name("latency source", "recoded", known) ==
        "unknown latency source 'recoded' (did you mean 'recorded'?); known: simulated, recorded");
}

TEST_CASE("a hostile name neither reaches the terminal nor fills it") {
    CHECK(unknown_name("latency source", "recorde\n", known) ==
          "unknown latency source 'recorde?' (did you mean 'recorded'?); known: simulated, "
          "recorded");
    CHECK(unknown_name("latency source", std::string(100'000, 'a'), known).size() < 200);
}
