// Ablations over many fleets of real devices: measured once, waited for, and compared fleet by
// fleet.
#include "end_to_end/tiny_study.hpp"
#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace hdap;
using namespace hdap::test;
using Catch::Contains;

namespace {

/// A device that takes as long as the candidate's file is large, and notes what it was asked; the
/// devices of the file `away` do not answer.
const std::string device = R"sh(folder=$(dirname "$0")
grep -qx "$1" "$folder/away" 2>/dev/null && { echo 'no route to host' >&2; exit 255; }
echo "$1 $(basename "$2")" >>"$folder/asked"
size=$(wc -c <"$2")
case $1 in unit-0|unit-3|unit-6) f=14;; *) f=10;; esac
echo "latency: $((size * f)) ns"
)sh";

/// Three fleets, two algorithms and two seeds of the search.
class ManyFleets {
  public:
    explicit ManyFleets(const std::string& source) {
        std::filesystem::create_directory(study_ / "fleets");
        for (const auto& [name, slow] : {std::pair("a", 1.4), {"b", 1.6}, {"c", 1.9}}) {
            std::ofstream(path("telemetry.csv")) << telemetry_csv(8, slow);
            const Outcome imported =
                call({"fleet", "import", path("telemetry.csv"),
                      path(std::string("fleets/") + name + ".h5"), "--sku", "board"});
            INFO(imported.errors);
            REQUIRE(imported.exit_code == 0);
        }
        std::ofstream(path("device.sh")) << device;
        std::ofstream(path("base.toml"))
            << "[network]\nname = \"mobilenet_v1\"\nwidth = 0.25\n[fleet]\nbatch = 1\n"
               "[clusters]\nmethod = \"dbscan\"\nmetric = \"level\"\neps = 0.05\nmin_points = "
               "2\nrepresentatives = 1\n"
               "[profile]\ncandidates = 12\n[search]\npopulation = 8\ngenerations = 2\n"
               "objectives = [\"latency.mean\", \"flops\"]\n";
        std::ofstream(path("plan.toml"))
            << "[ablation]\nbase = \"base.toml\"\ncompare = \"algorithm\"\n"
               "baseline = \"random\"\n[settings]\n\"fleet.source\" = \""
            << source << "\"\n"
            << (source == "command" ? "\"latency.command\" = \"sh " + path("device.sh") +
                                          " {device} {network}\"\n\"latency.retries\" = 0\n"
                                    : "")
            << "[[axis]]\nname = \"fleet\"\nkey = \"fleet.file\"\nfiles = \"fleets/*.h5\"\n"
               "[[axis]]\nkey = \"search.algorithm\"\nvalues = [\"random\", \"nsga2\"]\n";
    }

    [[nodiscard]] std::string path(const std::string& name) const { return study_ / name; }
    [[nodiscard]] Outcome call(const Arguments& words) const {
        return study_.call({.ranks = 0}, words);
    }
    [[nodiscard]] Outcome ablate(const std::string& command, const Arguments& more = {}) const {
        Arguments words{"ablate", command, path("plan.toml"), "--out", path("out")};
        words.insert(words.end(), more.begin(), more.end());
        return call(words);
    }
    [[nodiscard]] nlohmann::json json(const std::string& command) const {
        return nlohmann::json::parse(ablate(command, {"--json"}).output);
    }
    /// What devices were asked: a device and a candidate a line.
    [[nodiscard]] std::vector<std::string> asked() const {
        std::vector<std::string> lines;
        std::istringstream text(text_of(path("asked")));
        for (std::string line; std::getline(text, line);)
            lines.push_back(line);
        return lines;
    }
    /// The folders of measurements, one for each fleet.
    [[nodiscard]] std::vector<std::filesystem::path> measured() const {
        std::vector<std::filesystem::path> folders;
        for (const auto& entry :
             std::filesystem::directory_iterator(path("out/store/measurements")))
            folders.push_back(entry.path());
        return folders;
    }

  private:
    TinyStudy study_{TinyStudy::Weights::initial};
};

constexpr std::size_t fleets = 3;
constexpr std::size_t asked_of_a_fleet = 2 * 12; // a representative of each of two clusters

} // namespace

TEST_CASE("an ablation over fleets measures every candidate once in each fleet, whatever their "
          "devices are named, and tells differences over fleets and in each") {
    const ManyFleets many("command");
    const Outcome outcome = many.ablate("run", {"--workers", "2"});
    INFO(outcome.output << outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK_THAT(outcome.output, Contains("6 of 6 cells are complete, 0 failed"));
    CHECK(many.asked().size() == fleets * asked_of_a_fleet);
    CHECK(many.measured().size() == fleets);

    const nlohmann::json collected = many.json("collect");
    CHECK(collected["fleets"] == "fleet");
    std::size_t of_fleets = 0;
    bool is_over_fleets = false;
    for (const auto& row : collected["rows"]) {
        if (row["metric"] != "hypervolume" || row["label"] != "nsga2") continue;
        if (row["fleet"] != "") ++of_fleets;
        if (row["fleet"] != "") continue;
        is_over_fleets = true;
        CHECK(row["fleets"] == fleets);
        CHECK(row["pairs"] == fleets);
        CHECK(row["n"] == fleets);
    }
    CHECK(is_over_fleets);
    CHECK(of_fleets == fleets);
    CHECK_THAT(many.ablate("collect").output,
               Contains("compared with random, over fleets (fleet)") &&
                   Contains("3 fleets: p cannot be below 0.250; 0.05 needs 6 fleets at least") &&
                   Contains("hypervolume, fleet by fleet") && Contains("fleet=c"));
}

TEST_CASE("a cell is verified with the store that its measurements lie in, and only with it") {
    const ManyFleets many("command");
    REQUIRE(many.ablate("run", {"--cells", "1"}).exit_code == 0);
    REQUIRE(many.asked().size() == asked_of_a_fleet);
    const std::filesystem::path cell =
        std::filesystem::directory_iterator(many.path("out/cells"))->path();
    const Outcome refused = many.call({"fleet", "verify", cell});
    CHECK(refused.exit_code == 2);
    CHECK_THAT(refused.errors,
               Contains((cell / "measurements").string()) && Contains("--store DIR"));
    CHECK(many.asked().size() == asked_of_a_fleet);

    const Arguments verify{"fleet", "verify", cell, "--front", "--store", many.path("out/store")};
    const Outcome verified = many.call(verify);
    INFO(verified.errors);
    CHECK(verified.exit_code == 0);
    CHECK_THAT(verified.output, Contains("measured on 8 devices"));
    CHECK_THAT(text_of(cell / "verification.csv"), Contains("unpruned,unit-7,"));
    const std::size_t measured = many.asked().size() - asked_of_a_fleet;
    CHECK(measured > 0);
    CHECK(many.measured().size() == 1);
    CHECK_FALSE(std::filesystem::exists(cell / "measurements"));
    CHECK(many.call(verify).exit_code == 0);
    CHECK(many.asked().size() == asked_of_a_fleet + 2 * measured); // all of it anew
}

TEST_CASE("cells whose devices do not answer wait, are told, and go on when these are back") {
    const ManyFleets many("command");
    std::ofstream(many.path("away")) << "unit-0\nunit-3\nunit-6\n";
    const Outcome waiting = many.ablate("run", {"--workers", "1"});
    INFO(waiting.output << waiting.errors);
    CHECK(waiting.exit_code == 76);
    CHECK_THAT(waiting.output,
               Contains("0 of 6 cells are complete, 0 failed, 6 waiting for measurements") &&
                   Contains("(a, random) waiting for measurements: 12 of 24") &&
                   Contains("the same command goes on") && !Contains("--retry-failed"));
    const nlohmann::json status = many.json("status");
    CHECK(status["counts"]["waiting"] == 6);
    CHECK(status["counts"]["failed"] == 0);
    CHECK(status["cells"][5]["state"] == "waiting");
    CHECK_THAT(many.ablate("status").output, Contains("waiting  ") && Contains("12 of 24"));

    std::ofstream(many.path("away")) << "";
    const Outcome first = many.ablate("run", {"--cells", "1"});
    CHECK(first.exit_code == 0);
    const nlohmann::json collected = many.json("collect");
    CHECK(collected["complete"] == 1);
    CHECK(collected["waiting"].size() == 5);
    CHECK_THAT(many.ablate("collect").errors, Contains("5 of 6 cells are not complete") &&
                                                  Contains("5 of them for want of measurements"));
    CHECK(many.ablate("run").exit_code == 0);
    const std::vector<std::string> asked = many.asked();
    CHECK(asked.size() == fleets * asked_of_a_fleet); // nothing was measured twice
}

TEST_CASE("cells that ask a user for measurements of one fleet ask for all of them in one place") {
    const ManyFleets many("recorded");
    std::ofstream(many.path("plan.toml"), std::ios::app)
        << "[[axis]]\nkey = \"study.seed\"\nseeds = 2\n";
    const Outcome waiting = many.ablate("run", {"--workers", "1"});
    INFO(waiting.output << waiting.errors);
    CHECK(waiting.exit_code == 76);
    const auto folders = many.measured();
    REQUIRE(folders.size() == fleets);
    // Both seeds ask for the unpruned network; the other candidates differ.
    for (const auto& folder : folders) {
        const std::string manifest = text_of(folder / "manifest.csv");
        const auto lines = std::count(manifest.begin(), manifest.end(), '\n') - 1;
        CHECK(lines > static_cast<std::ptrdiff_t>(asked_of_a_fleet));
        CHECK(lines <= static_cast<std::ptrdiff_t>(2 * asked_of_a_fleet));
        CHECK_THAT(text_of(folder / "README.txt"),
                   Contains("--set 'latency.folder=" + folder.string() + "'"));
        for (const auto& list : std::filesystem::directory_iterator(folder / "outstanding")) {
            const auto results = folder / "results" / list.path().stem();
            std::filesystem::create_directories(results);
            std::ifstream candidates(list.path());
            for (std::string name; std::getline(candidates, name);) {
                const auto bytes =
                    std::filesystem::file_size(folder / "networks" / (name + ".onnx"));
                std::ofstream(results / (name + ".csv")) << "latency_us\n" << bytes / 100 << "\n";
            }
        }
        const Outcome imported = many.call({"profile", "import", many.path("base.toml"), "--set",
                                            "latency.folder=" + folder.string()});
        INFO(imported.errors);
        CHECK(imported.exit_code == 0);
        CHECK_THAT(imported.output, !Contains("outstanding"));
    }
    const Outcome complete = many.ablate("run");
    INFO(complete.output << complete.errors);
    CHECK(complete.exit_code == 0);
    CHECK_THAT(complete.output, Contains("12 of 12 cells are complete"));
}
