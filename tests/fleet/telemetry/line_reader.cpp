#include "fleet/telemetry/line_reader.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <sstream>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;

TEST_CASE("a line that is too long is refused with its number") {
    std::istringstream input("12345\n123456\n");
    LineReader lines(input, "f", 5);
    std::string line;
    CHECK(lines.next(line));
    CHECK_THROWS_WITH(lines.next(line), Catch::Contains("f:2: the line is longer than 5 bytes"));
}

TEST_CASE("lines end with either mark or both, and the last one may have no end") {
    std::istringstream input("a\nb\r\nc\rd\n\ne");
    LineReader lines(input, "f");
    std::vector<std::string> all;
    for (std::string line; lines.next(line);) {
        all.push_back(line);
        CHECK(lines.line() == static_cast<std::int64_t>(all.size()));
        CHECK(lines.has_end() == (line != "e"));
    }
    CHECK(all == std::vector<std::string>{"a", "b", "c", "d", "", "e"});
}

TEST_CASE("of a line without an end the last word is left out") {
    CHECK(without_last_word("a bc 12") == "a bc");
    CHECK(without_last_word("12") == "");
    CHECK(without_last_word("") == "");
}
