#include "fleet/telemetry/json_records.hpp"

#include "fleet/bad_lines.hpp"
#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace hdap;
using namespace hdap::fleet;

namespace {

std::vector<JsonRecord> list(const std::string& text, JsonEnd expected, std::size_t levels = 1) {
    std::istringstream input(text);
    std::vector<JsonRecord> records;
    CHECK(read_json_list(input, "f", levels,
                         [&](const JsonRecord& record) { records.push_back(record); }) == expected);
    return records;
}

} // namespace

TEST_CASE("what is no list of JSON is refused with file and line") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "f:1: "},
        {"5", "f:1: a value, expected a list of objects"},
        {"{}", "f:1: an object, expected a list of objects"},
        {"[{}\n,}\n", "f:2: "},
        {"[\n{\"a\": 1e400}]", "f:2: "},
        {"[]]", "f:1: "},
        {std::string(100, '['), "in each other"},
        {"[" + std::string(2'000'000, ' ') + "]", "a value of more than 1 MiB"},
    };
    for (const auto& [text, message] : cases) {
        std::istringstream input(text);
        CHECK_THROWS_WITH(read_json_list(input, "f", 1, [](const JsonRecord&) {}),
                          Catch::Contains(message));
    }
    for (const char* text : {"", "{", "{\"a\" 1}", "{} x", "{\"a\": nan}"})
        CHECK_THROWS_AS(parse_json_object(text, 1), BadLine);
    std::istringstream cut("{\"a\": ");
    CHECK_THROWS_WITH(read_json_object(cut, "f", 1), Catch::Contains("ends in the middle"));
}

TEST_CASE("records have the fields of so many levels, with the line where they end") {
    const auto records =
        list("[{\"a\": 1, \"b\": {\"c\": \"x\", \"d\": {\"e\": 2}}, \"f\": [1, 2]},\n\n{\"a\": "
             "null}]",
             JsonEnd::closed, 2);
    REQUIRE(records.size() == 2);
    CHECK(records[1].line == 3);
    CHECK(records[0].number("a") == 1.0);
    CHECK(records[0].text("b.c") == "x");
    CHECK(records[0].find("b.d.e") == nullptr);
    CHECK(std::get<std::vector<double>>(records[0].find("f")->value) == std::vector<double>{1, 2});
    CHECK(records[1].find("a") == nullptr);
    CHECK(records[0].find("x") == nullptr);
    CHECK_THROWS_AS(records[0].number("b.c"), BadLine);
    CHECK_THROWS_AS(parse_json_object("{\"a\":1,\"a\":2}", 1).find("a"), BadLine);
}

TEST_CASE("how a list ended is told") {
    CHECK(list("[]", JsonEnd::closed).empty());
    CHECK(list("[ ", JsonEnd::between_elements).empty());
    CHECK(list("[{\"a\": 1}, ", JsonEnd::between_elements).size() == 1);
    CHECK(list("[{\"a\": 1}, {\"a\": [", JsonEnd::within_element).size() == 1);
}

TEST_CASE("elements that are no objects, or too large, cannot be used") {
    for (const JsonRecord& record : list("[5, [1], null, \"x\"]", JsonEnd::closed))
        CHECK_THROWS_AS(record.check(), BadLine);
    std::string keys;
    for (int i = 0; i < 5000; ++i)
        keys += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":1";
    const auto records = list("[{" + keys + "},{\"a\":1}]", JsonEnd::closed);
    CHECK_THROWS_AS(records[0].check(), BadLine);
    CHECK_NOTHROW(records[1].check());
}
