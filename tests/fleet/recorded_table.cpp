#include "fleet/sources/recorded_table.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/small_networks.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <sstream>

using namespace hdap;
using fleet::RecordedTable;

namespace {

/// Two pruning groups: "a" of 8 channels and "b" of 4, of which even numbers may be kept.
network::SearchSpace small_space() {
    using namespace network::testing;
    return {network_of({conv("a", 0, 8), conv("b", 1, 4), conv("c", 2, 2)}),
            {.min_keep = 0.5, .divisor = 2}};
}

const std::string header = "device_id,keep_a,keep_b,latency_ms\n";

RecordedTable parsed(const std::string& text) {
    std::istringstream input(text);
    return fleet::parse_recorded(input, "t.csv", small_space());
}

} // namespace

TEST_CASE("a malformed table of recorded latencies is refused with file, line and value",
          "[recorded]") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "empty"},
        {"keep_a,keep_b,latency_ms\n", "t.csv:1: no column 'device_id'"},
        {"device_id,keep_a,keep_b\n", "no column 'latency_ms'"},
        {"device_id,keep_a,latency_ms\n", "no column 'keep_b'"},
        {"device_id,keep_a,keep_b,keep_c,latency_ms\n", "column 'keep_c' is of no pruning group"},
        {"device_id,keep_a,keep_b,keep_a,latency_ms\n", "two columns 'keep_a'"},
        {"device_id,keep_a,keep_b,run,run,latency_ms\n", "two columns 'run'"},
        {header, "t.csv: no measurements"},
        {header + "x,8,4\n", "t.csv:2: 3 fields"},
        {header + ",8,4,1\n", "device_id is ''"},
        {header + "x,8,4,-1\n", "latency_ms is -1"},
        {header + "x,8,4,nan\n", "latency_ms is nan"},
        {header + "x,8,4,1\nx,8.0,4,1\n", "t.csv:3: keep_a is '8.0', expected a whole number"},
        {header + "x,8,4,1\nx,7,4,1\n", "t.csv:3: keep_a is 7, which the search space does not"},
        {header + "x,8,4,1\nx,8,1,1\n", "keep_b is 1, which the search space does not allow "
                                        "(nearest: 2, all: 4)"},
        {header + "x,8,4,1\nx,8,6,1\n", "keep_b is 6"},
        {header + "x,8,4,1\nx,99999999999,4,1\n", "keep_a is 99999999999"},
        {header + "x,8,4,1\ny,6,4,1\n", "t.csv: device 'y' lacks the unpruned network"},
        {"device_id,run,keep_a,keep_b,latency_ms\nx,1,8,4,1\nx,2,8,4,2\nx,1,8,4,3\n",
         "t.csv:4: run 1 of this candidate on device 'x' is in line 2 already"},
        {"device_id,run,keep_a,keep_b,latency_ms\nx,first,8,4,1\n", "run is 'first'"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(parsed(text), core::DataError);
        CHECK_THROWS_WITH(parsed(text), Catch::Contains(message));
    }
}

TEST_CASE("all lines of a recorded table that cannot be used are told at once", "[recorded]") {
    CHECK_THROWS_WITH(parsed(header + "x,8,4,1\nx,7,4,1\nx,8,4\nx,8,5,1\nx,8,4,slow\n"),
                      Catch::Contains("t.csv: 4 of 5 lines cannot be used: 2 × a candidate that") &&
                          Catch::Contains("(lines 3, 5)") &&
                          Catch::Contains("line 3: keep_a is 7"));
    // Also where another device's line comes first.
    CHECK_THROWS_WITH(parsed("device_id,run,keep_a,keep_b,latency_ms\n"
                             "x,1,8,4,1\ny,1,8,4,1\ny,1,8,4,2\nx,1,8,4,2\n"
                             "y,1,8,4,3\nx,1,8,4,3\n"),
                      Catch::Contains("4 × a repeated run (lines 4, 5, 6, …); line 4: run 1 of "
                                      "this candidate on device 'y' is in line 3 already"));
    const RecordedTable table =
        parsed("device_id;keep_a;keep_b;latency_ms\r\n x ;8;4;1,5\r\nx;4;2;0,5\r\n");
    CHECK(table.device_ids == std::vector<std::string>{"x"});
    CHECK(table.latency_ms == std::vector<double>{1.5, 0.5});
}

TEST_CASE("a table of recorded latencies takes rows and columns in any order", "[recorded]") {
    const RecordedTable table = parsed("latency_ms,keep_b,note,device_id,keep_a\n"
                                       "5,2,,y,6\n"
                                       "10,4,\"of, a\",y,8\n"
                                       "20,4,,x,8\n"
                                       "7,4,,x,4\n");
    CHECK(table.device_ids == std::vector<std::string>{"y", "x"});
    CHECK(table.genomes == std::vector<network::Genome>{{8, 4}, {6, 2}, {4, 4}});
    CHECK(table.latency_of(0, 0) == 10);
    CHECK(table.latency_of(0, 1) == 5);
    CHECK(std::isnan(table.latency_of(0, 2)));
    CHECK(table.latency_of(1, 0) == 20);
    CHECK(std::isnan(table.latency_of(1, 1)));
    CHECK(table.latency_of(1, 2) == 7);
    CHECK(std::isnan(table.latency_of(1, 3)));
}

TEST_CASE("a recorded latency is the median over its runs, numbered or not", "[recorded]") {
    const RecordedTable plain = parsed(header + "x,8,4,9\nx,4,2,1\nx,8,4,1\nx,8,4,2\nx,4,2,2\n");
    CHECK(plain.latency_of(0, 0) == 2);
    CHECK(plain.latency_of(0, 1) == 1.5);
    const RecordedTable numbered = parsed("device_id,run,keep_a,keep_b,latency_ms\n"
                                          "x,3,8,4,9\nx,1,8,4,1\nx,2,8,4,2\nx,3,4,2,1.5\n");
    CHECK(numbered.latency_ms == plain.latency_ms);
    CHECK(fleet::sha256_of(numbered) == fleet::sha256_of(plain));
}

TEST_CASE("the hash of a table changes with everything that it says", "[recorded]") {
    const std::string text = header + "x,8,4,9\nx,4,2,1\ny,8,4,3\n";
    const auto hash = [](const std::string& rows) { return fleet::sha256_of(parsed(rows)); };
    CHECK(hash(text) == hash("device_id,keep_b,keep_a,latency_ms\nx,4,8,9\nx,2,4,1.0\ny,4,8,3\n"));
    CHECK(hash(text) != hash(header + "x,8,4,9\nx,4,2,1\ny,8,4,3.5\n"));
    CHECK(hash(text) != hash(header + "x,8,4,9\nx,6,2,1\ny,8,4,3\n"));
    CHECK(hash(text) != hash(header + "x,8,4,9\nx,4,2,1\nz,8,4,3\n"));
    CHECK(hash(text) != hash(header + "x,8,4,9\ny,4,2,1\ny,8,4,3\n"));
    CHECK(hash(text) != hash(header + "y,8,4,3\nx,8,4,9\nx,4,2,1\n"));
}

TEST_CASE("a table of distinct devices and candidates needs no table of their product",
          "[recorded]") {
    const network::SearchSpace space(network::make_network({.name = "mobilenet_v1"}),
                                     {.min_keep = 0.01});
    std::string text = "device_id,latency_ms";
    std::string unpruned;
    for (const auto& group : space.groups()) {
        text += ",keep_" + group.name;
        unpruned += "," + std::to_string(group.channels);
    }
    text += "\n";
    for (int i = 0; i < 10'000; ++i) {
        const std::string device = "d" + std::to_string(i);
        std::string pruned = unpruned.substr(0, unpruned.rfind(','));
        pruned = "," + std::to_string(1 + i % 31) + pruned.substr(pruned.find(',', 1));
        pruned += "," + std::to_string(100 + i % 900);
        text += device + ",1" + unpruned + "\n" + device + ",1" + pruned + "\n";
    }
    std::istringstream input(text);
    const RecordedTable table = fleet::parse_recorded(input, "t.csv", space);
    CHECK(table.devices() == 10'000);
    CHECK(table.latency_ms.size() == 20'000);
}
