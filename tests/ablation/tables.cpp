#include "hdap/ablation/tables.hpp"

#include "ablation/synthetic_cells.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

using namespace hdap;
using namespace hdap::ablation;

namespace {

using Record = std::vector<std::string>;

/// The records of a CSV text, by the rules of RFC 4180.
std::vector<Record> read_csv(const std::string& text) {
    std::vector<Record> records{{""}};
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string& field = records.back().back();
        if (text[i] == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"')
            field += text[i++];
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == ',' && !quoted)
            records.back().emplace_back();
        else if (text[i] == '\n' && !quoted)
            records.push_back({""});
        else
            field += text[i];
    }
    records.pop_back(); // the text ends with a line feed
    return records;
}

std::string bytes_of(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

storage::Hdf5Reader open_results(const Folder& folder) {
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(folder.root / "results.h5"),
                                           "results.h5");
}

/// Two methods and two seeds; the last cell is missing, the third lacks the latency.
struct SmallAblation {
    test::TemporaryFolder temporary;
    Folder folder{temporary.path()};
    Plan plan = test::grid_plan({"method, or \"way\"", "a/b"}, {{"plain", "x, y"}, {"1", "2"}});

    SmallAblation() {
        for (std::size_t i = 0; i < 3; ++i) {
            const double value = 0.1 * static_cast<double>(i + 1);
            study::Results results{.final_metrics = {{"hypervolume", "1", value}},
                                   .costs = {{"wall", "s", 7.0}},
                                   .history = {{"front", "1", {1.0, value}}}};
            if (i < 2) results.final_metrics.push_back({"latency_mean", "ms", 3.0});
            test::write_cell(folder, plan.cells[i], results);
        }
        plan.comparison = {.axis = plan.axis_names[0], .baseline = "plain", .within = {}};
    }

    CollectedFiles write() const {
        const Collection collection = collect(plan, folder);
        return write_tables(folder, plan, collection, plan.comparison,
                            compare(plan, collection, plan.comparison));
    }
};

} // namespace

TEST_CASE("a column's name that occurs again is told apart") {
    const std::vector<std::string> one{"v"};
    const Table table{{.name = "id", .path = "/g/id", .unit = {}, .values = one},
                      {.name = "id", .path = "/g/id", .unit = {}, .values = one},
                      {.name = "id", .path = {}, .unit = {}, .values = one}};
    CHECK(csv_text(table) == "id,id.1,id.2\nv,v,v\n");
    storage::Hdf5Writer file;
    write_table(file, table);
    const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "table");
    CHECK(reader.contains("/g/id"));
    CHECK(reader.contains("/g/id.1"));
}

TEST_CASE("CSV numbers read back exactly and NaN is an empty field") {
    const Table table{
        {.name = "x",
         .path = {},
         .unit = {},
         .values = std::vector<double>{0.1 + 0.2, std::nan(""), -1e-300}},
        {.name = "n", .path = {}, .unit = {}, .values = std::vector<std::int64_t>{1, 2, 3}}};
    const auto records = read_csv(csv_text(table));
    REQUIRE(records.size() == 4);
    CHECK(std::stod(records[1][0]) == 0.1 + 0.2);
    CHECK(records[2] == Record{"", "2"});
    CHECK(std::stod(records[3][0]) == -1e-300);
}

TEST_CASE("cells.csv and history.csv hold what was collected, whatever the labels are") {
    const SmallAblation ablation;
    const CollectedFiles files = ablation.write();
    const auto cells = read_csv(bytes_of(files.cells));
    REQUIRE(cells.size() == 4);
    CHECK(cells[0] == Record{"id", "method, or \"way\"", "a/b", "hypervolume", "latency_mean",
                             "cost_wall", "software_version", "git_commit", "host", "job",
                             "created"});
    CHECK(Record(cells[3].begin(), cells[3].begin() + 6) ==
          Record{ablation.plan.cells[2].id, "x, y", "1", "0.30000000000000004", "", "7"});
    const auto history = read_csv(bytes_of(files.history));
    REQUIRE(history.size() == 7);
    CHECK(history[0] == Record{"id", "method, or \"way\"", "a/b", "generation", "front"});
    CHECK(history[6] == Record{ablation.plan.cells[2].id, "x, y", "1", "1", "0.30000000000000004"});
}

TEST_CASE("comparison.csv holds every metric of every label") {
    const SmallAblation ablation;
    const auto rows = read_csv(bytes_of(ablation.write().comparison));
    REQUIRE(rows.size() == 1 + 2 * 3); // two labels, three metrics
    CHECK(rows[0].size() == 26);
    const auto column = [&](const std::string& name) {
        return static_cast<std::size_t>(std::find(rows[0].begin(), rows[0].end(), name) -
                                        rows[0].begin());
    };
    CHECK(rows[2][column("label")] == "x, y");
    CHECK(rows[2][column("pairs")] == "1");
    CHECK(std::stod(rows[2][column("difference")]) == Approx(0.2));
    CHECK(rows[2][column("p")] == "1");
    CHECK(rows[1][column("p")].empty());
    CHECK(rows[4][column("n")] == "0");
    CHECK(rows[4][column("median")].empty());
    CHECK(rows[4][column("missing")] == "2");
    CHECK(rows[5][column("kind")] == "cost");
}

TEST_CASE("results.h5 holds the same columns, with units, and names what is incomplete") {
    const SmallAblation ablation;
    test::write_cell(ablation.folder, ablation.plan.cells[3], {}, "other");
    ablation.write();
    const auto file = open_results(ablation.folder);
    CHECK(storage::read_identity(file, ablation_schema).input_sha256 ==
          collect(ablation.plan, ablation.folder).sha256);
    CHECK(file.read_strings("/cells/method, or \"way\"")[2] == "x, y");
    CHECK(file.read_strings("/cells/a_b") == std::vector<std::string>{"1", "2", "1"});
    CHECK(file.attribute_string("/final/latency_mean", "unit") == "ms");
    CHECK(std::isnan(file.read<double>("/final/latency_mean")[2]));
    CHECK(file.read<double>("/cost/wall") == std::vector<double>(3, 7.0));
    CHECK(file.read<std::int64_t>("/history/cell") == std::vector<std::int64_t>{0, 0, 1, 1, 2, 2});
    CHECK(file.read<std::int64_t>("/comparison/pairs")[1] == 1);
    CHECK(file.attribute_string("/comparison", "baseline") == "plain");
    CHECK(file.read_strings("/incomplete/id") ==
          std::vector<std::string>{ablation.plan.cells[3].id});
    CHECK_THAT(file.read_strings("/incomplete/reason")[0], Catch::Contains("'other'"));
}

TEST_CASE("equal inputs give equal bytes, and a damaged file is made again") {
    const SmallAblation ablation;
    const CollectedFiles files = ablation.write();
    const std::vector<std::filesystem::path> paths{files.results, files.cells, files.history,
                                                   files.comparison};
    std::vector<std::string> before;
    for (const auto& path : paths)
        before.push_back(bytes_of(path));
    const auto written = std::filesystem::last_write_time(files.results);
    ablation.write();
    for (std::size_t i = 0; i < paths.size(); ++i)
        CHECK(bytes_of(paths[i]) == before[i]);
    CHECK(std::filesystem::last_write_time(files.results) == written);
    std::filesystem::resize_file(files.results, 600);
    ablation.write();
    CHECK(open_results(ablation.folder).contains("/cells/id"));
}

TEST_CASE("another result, or another baseline, makes results.h5 anew") {
    SmallAblation ablation;
    ablation.write();
    test::write_cell(ablation.folder, ablation.plan.cells[3],
                     {.final_metrics = {{"hypervolume", "1", 5.0}}, .costs = {}, .history = {}});
    ablation.write();
    CHECK(open_results(ablation.folder).read<double>("/final/hypervolume").size() == 4);
    ablation.plan.comparison = {};
    ablation.write();
    CHECK(open_results(ablation.folder).attribute_string("/comparison", "baseline").empty());
}
