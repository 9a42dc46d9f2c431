#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string old_profile = "[\n  { \"count\" : 500 }\n"
                                ", { \"name\" : \"conv1 + relu\", \"timeMs\" : 500, "
                                "\"averageMs\" : 1.5, \"percentage\" : 60 }\n"
                                ", { \"name\" : \"fc\", \"timeMs\" : 250, \"averageMs\" : 0.5, "
                                "\"percentage\" : 40 }\n]\n";

} // namespace

TEST_CASE("trtexec: profiles that cannot be used are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"[ { \"count\" : 5 }, { \"timeMs\" : 5 } ]", "no layer with averageMs"},
        {"[ { \"name\" : \"a\", \"averageMs\" : -1 } ]", "'-1' is no number that is at least 0"},
        {"[ { \"name\" : \"a\", \"averageMs\" : nan } ]", "'nan'"},
        {"[ { \"name\" : \"a\", \"averageMs\" : 1e999 } ]", "'1e999'"},
        {"[ { \"name\" : \"a\", \"averageMs\" : 0 } ]", "the layers' sum is 0"},
        {"[ { \"name\" : \"" + std::string(70'000, '"') + "\", \"averageMs\" : 1 } ]",
         "a name of more than 65,536 bytes"},
        {"[ { \"averageMs\" : " + std::string(100, '1') + " } ]", "a number of more than 64"},
        {"[ { \"" + std::string(100, 'k') + "averageMs\" : 1 } ]", "a key of more than 64"},
        {"[ 5, \"averageMs\" ]", "'5' where an object should begin"},
    };
    for (const auto& [text, message] : cases) {
        ImportRequest request = named_request();
        request.format = "trtexec-profile";
        CHECK_THROWS_AS(imported(text, request), core::DataError);
        CHECK_THROWS_WITH(imported(text, request), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(old_profile, with_warm_up("10")), core::UsageError);
}

TEST_CASE("trtexec: the sum of a profile that is cut would be too small") {
    for (std::size_t bytes = 1; bytes + 2 < old_profile.size(); ++bytes) {
        ImportRequest request = named_request();
        request.format = "trtexec-profile";
        CHECK_THROWS_WITH(imported(old_profile.substr(0, bytes), request),
                          Catch::Contains("the file is cut"));
    }
}

TEST_CASE("trtexec: the latency of a profile is the sum of the layers' means") {
    const Imported profile = imported(old_profile);
    CHECK(profile.latency_ms() == 2.0);
    CHECK(profile.report.runs == 500);
    CHECK(profile.fleet.origins[0].statistic == "sum of the layers' means");
    CHECK(profile.fleet.origins[0].tool == "trtexec --exportProfile");
}

TEST_CASE("trtexec: names of layers go as far as the next key, whatever is in them") {
    CHECK(imported("[{\"count\":7},{\"name\":\"a \"b\" \\ c\", \"x\" : 1, {}]\",\"timeMs\":7,"
                   "\"averageMs\":1.25,\"medianMs\":1.5,\"percentage\":50},{\"name\":\"\","
                   "\"timeMs\":1,\"averageMs\":0.25,\"medianMs\":9,\"percentage\":50}]")
              .latency_ms() == 1.5);
    // As a tool that sorts the keys writes it again.
    CHECK(imported("[{\"count\": 7},\n {\n  \"averageMs\": 1.5,\n  \"name\": \"conv\",\n  "
                   "\"percentage\": 1,\n  \"timeMs\": 3\n }\n]")
              .latency_ms() == 1.5);
}
