// clusters.keep: a study of a fleet that has changed goes on with what still holds of an older one.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

using namespace hdap;
using namespace hdap::test;
using Catch::Contains;

namespace {

namespace fs = std::filesystem;

/// A device takes as long as the candidate's file is large; every third one is slow by a factor.
constexpr const char* device_script =
    "size=$(wc -c <\"$2\"); case $1 in unit-0|unit-3|unit-6|unit-9) f=SLOW;; *) f=10;; esac; "
    "echo \"latency: $((size * f)) ns\"\n";

/// A study that a command measures: of a fleet of eight devices and four slow ones, two of which
/// are measured of either kind.
class ChangingFleet {
  public:
    ChangingFleet() {
        add_fleet("before", 1.4);
        set_slow(14);
        std::ofstream(path("real.toml"))
            << "[study]\nname = \"real\"\nseed = 3\n[fleet]\nsource = \"command\"\nfile = "
               "\"before.h5\"\nbatch = 1\n[latency]\ncommand = \"sh "
            << path("device.sh")
            << " {device} {network}\"\nretries = 0\n[network]\nname = \"mobilenet_v1\"\nwidth = "
               "0.25\n[clusters]\nmethod = \"dbscan\"\nmetric = \"level\"\neps = 0.05\nmin_points "
               "= 2\nrepresentatives = 2\n[profile]\ncandidates = 30\n[search]\npopulation = "
               "8\ngenerations = 3\nobjectives = [\"latency.mean\", \"flops\"]\n";
    }

    void add_fleet(const std::string& name, double slow, const std::string& sku = "board",
                   const std::string& prefix = "") const {
        std::string telemetry = telemetry_csv(12, slow);
        for (const std::string word : {"large", "small"})
            for (std::size_t at = 0; (at = telemetry.find(word, at)) != std::string::npos;
                 at += prefix.size() + word.size())
                telemetry.insert(at, prefix);
        std::ofstream(path(name + ".csv")) << telemetry;
        const Outcome imported = study_.call({.ranks = 0}, {"fleet", "import", path(name + ".csv"),
                                                            path(name + ".h5"), "--sku", sku});
        INFO(imported.errors);
        REQUIRE(imported.exit_code == 0);
    }

    void set_slow(int factor) const {
        std::string script = device_script;
        script.replace(script.find("SLOW"), 4, std::to_string(factor));
        std::ofstream(path("device.sh")) << script;
    }

    [[nodiscard]] std::string path(const std::string& name) const { return study_ / name; }

    [[nodiscard]] Arguments arguments(const std::string& out, const Arguments& settings) const {
        Arguments all{"run", path("real.toml"), "--out", path(out)};
        for (const std::string& setting : settings)
            all.insert(all.end(), {"--set", setting});
        return all;
    }
    [[nodiscard]] Outcome run(const std::string& out, const Arguments& settings = {},
                              int ranks = 0) const {
        return study_.call({.ranks = ranks}, arguments(out, settings));
    }
    [[nodiscard]] Process start(const std::string& out, const Arguments& settings) const {
        return study_.start({.ranks = 0}, arguments(out, settings));
    }
    [[nodiscard]] Outcome call(const Arguments& words) const {
        return study_.call({.ranks = 0}, words);
    }
    [[nodiscard]] std::string keep(const std::string& run) const {
        return "clusters.keep=" + path(run);
    }
    [[nodiscard]] std::string fleet(const std::string& name) const {
        return "fleet.file=" + path(name + ".h5");
    }

    /// The devices that were asked for a candidate, once for each.
    [[nodiscard]] std::vector<std::string> measured(const std::string& folder) const {
        std::vector<std::string> devices;
        std::ifstream file(path(folder + "/measurements.jsonl"));
        for (std::string line; std::getline(file, line);) {
            const auto at = line.find("unit-");
            devices.push_back(line.substr(at, line.find('"', at) - at));
        }
        return devices;
    }

    /// [cluster][candidate], and the numbers that clusters had before.
    [[nodiscard]] std::vector<double> profile(const std::string& run) const {
        return open(run, "profile.h5").read<double>("/latency_ms");
    }
    [[nodiscard]] std::vector<std::int32_t> former(const std::string& run) const {
        return open(run, "clusters.h5").read<std::int32_t>("/former_cluster");
    }

  private:
    [[nodiscard]] storage::Hdf5Reader open(const std::string& run, const std::string& file) const {
        const std::string name = path(run + "/" + file);
        return storage::Hdf5Reader::from_bytes(storage::read_sealed(name), name);
    }

    TinyStudy study_{TinyStudy::Weights::initial};
};

/// The differences of two equal runs that train no networks.
const std::vector<std::string> without_networks{"networks: missing"};

/// The end of a run that must succeed.
Outcome completed(Outcome outcome) {
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return outcome;
}

} // namespace

TEST_CASE("a fleet that is the same is not measured again, and its study ends as one that measures "
          "all of it") {
    const ChangingFleet study;
    completed(study.run("before"));
    REQUIRE(study.measured("before/measurements").size() == 120);
    const Outcome kept = completed(study.run("kept", {study.keep("before")}));
    CHECK(study.measured("kept/measurements").empty());
    CHECK_THAT(kept.errors, Contains("2 of 2 clusters' surrogates are kept"));
    completed(study.run("anew"));
    CHECK(study.measured("anew/measurements").size() == 120);
    CHECK(study.profile("kept") == study.profile("anew"));
    CHECK(text_of(study.path("kept/front.csv")) == text_of(study.path("anew/front.csv")));
    // It is complete, and can be kept in turn, when the first one is gone.
    fs::remove_all(study.path("before"));
    const std::string listing = file_listing(study.path("kept"));
    completed(study.run("kept", {study.keep("before")}));
    CHECK(file_listing(study.path("kept")) == listing);
    CHECK(study.run("kept", {study.keep("nothing")}).exit_code == 0);
    CHECK(study.run("kept").exit_code == 2);
    completed(study.run("third", {study.keep("kept")}));
    CHECK(study.measured("third/measurements").empty());
    CHECK(text_of(study.path("third/front.csv")) == text_of(study.path("anew/front.csv")));
}

TEST_CASE("only the cluster that drifted is measured, to the same front on 1 and 3 ranks and after "
          "a stop",
          "[mpi]") {
    const ChangingFleet study;
    completed(study.run("before"));
    study.add_fleet("now", 2.0);
    study.set_slow(20);
    const Arguments settings{study.fleet("now"), study.keep("before")};
    const Outcome one = completed(study.run("one", settings));
    CHECK_THAT(one.errors, Contains("1 of 2 clusters' surrogates are kept") &&
                               Contains("1 of the 2 of") && Contains("1 is new"));
    const auto devices = study.measured("one/measurements");
    CHECK(devices.size() == 60);
    for (const std::string& device : devices)
        CHECK_THAT(device, Catch::Matches("unit-[0369]"));
    CHECK(study.former("one") == std::vector<std::int32_t>{0, -1});
    const auto before = study.profile("before");
    const auto now = study.profile("one");
    CHECK(std::equal(now.begin(), now.begin() + 30, before.begin(), before.begin() + 30));
    for (std::size_t i = 30; i < 60; ++i)
        CHECK(now[i] == Approx(before[i] * 20.0 / 14.0).epsilon(1e-6));

    completed(study.run("three", settings, 3));
    CHECK(differences(study.path("one"), study.path("three")) == without_networks);
    Process stopped = study.start("stopped", settings);
    REQUIRE(stopped.wait_until([&] { return study.measured("stopped/measurements").size() >= 3; }));
    stopped.signal(SIGTERM);
    stopped.wait();
    completed(study.run("stopped", settings));
    CHECK(study.measured("stopped/measurements").size() == 60);
    CHECK(differences(study.path("one"), study.path("stopped")) == without_networks);

    const Outcome drift =
        completed(study.call({"fleet", "drift", study.path("before"), study.path("now.h5")}));
    CHECK_THAT(drift.output, Contains("To keep 1 cluster and measure only what is new") &&
                                 Contains(study.keep("before")) && Contains(study.fleet("now")));
}

TEST_CASE(
    "a profile that was measured otherwise does not count, but a shared folder still has what "
    "the representatives measured") {
    const ChangingFleet study;
    const std::string folder = "latency.folder=" + study.path("shared");
    completed(study.run("before", {folder}));
    REQUIRE(study.measured("shared").size() == 120);
    const Outcome other =
        completed(study.run("other", {folder, study.keep("before"), "profile.runs=5"}));
    CHECK_THAT(other.errors, Contains("measured anew, as profile.runs = 10 there, 5 here"));
    CHECK(study.measured("shared").size() == 120);
    const Outcome more =
        completed(study.run("more", {folder, study.keep("before"), "profile.candidates=33"}));
    CHECK_THAT(more.errors, Contains("profile.candidates = 30 there, 33 here"));
    CHECK(study.measured("shared").size() == 4 * 33);
}

TEST_CASE("what cannot be kept is refused before anything is measured") {
    const ChangingFleet study;
    completed(study.run("before"));
    const auto refused = [&](const Arguments& settings, int exit_code, const std::string& message) {
        const Outcome outcome = study.run("refused", settings);
        CHECK(outcome.exit_code == exit_code);
        CHECK_THAT(outcome.errors, Contains(message));
        CHECK(study.measured("refused/measurements").empty());
        fs::remove_all(study.path("refused"));
    };
    refused({study.keep("absent")}, 2, "absent\" has no config.toml");
    refused({study.keep("refused")}, 2, "this study itself");
    refused({study.keep("before"), "network.width=0.5"}, 2, "another network");
    refused({study.keep("before"), "clusters.metric=shape"}, 2, "clusters.metric = \"level\"");
    study.add_fleet("sku", 1.4, "another board");
    refused({study.keep("before"), study.fleet("sku")}, 3, "two SKUs");
    study.add_fleet("benchmarks", 1.4, "board", "other-");
    refused({study.keep("before"), study.fleet("benchmarks")}, 3, "share 0 benchmarks");
    fs::copy(study.path("before"), study.path("incomplete"));
    fs::remove(study.path("incomplete/profile.h5"));
    refused({study.keep("incomplete")}, 2, "has no profile.h5");
    for (const char* const file : {"fleet.h5", "clusters.h5", "profile.h5"}) {
        const std::string damaged = std::string("damaged-") + file;
        fs::copy(study.path("before"), study.path(damaged));
        flip_byte(fs::path(study.path(damaged)) / file, 0.6);
        refused({study.keep(damaged)}, 3, damaged + "/" + file);
    }
}

TEST_CASE(
    "a simulated fleet that changed keeps what still holds, with the same bits on 1 and 3 ranks",
    "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto hostile = [&](const Arguments& more) {
        Arguments arguments;
        for (const char* const setting :
             {"fleet.synthetic.mixture=hostile", "fleet.synthetic.devices=400",
              "fleet.benchmarks=6", "accuracy.evaluator=none",
              "data.file=", "search.objectives=[\"latency.mean\",\"energy.mean\",\"flops\"]",
              "search.constraints=[]", "finetune.candidates=0"})
            arguments.insert(arguments.end(), {"--set", setting});
        for (const std::string& setting : more)
            arguments.insert(arguments.end(), {"--set", setting});
        return arguments;
    };
    completed(study.run({}, "before", hostile({})));
    const std::string keep = "clusters.keep=" + (study / "before").string();
    completed(study.run({}, "same", hostile({keep})));
    CHECK(text_of(study / "same/front.csv") == text_of(study / "before/front.csv"));
    const auto later = hostile({keep, "fleet.synthetic.slow_cpu_factor=0.1"});
    const Outcome one = completed(study.run({.ranks = 1}, "one", later));
    CHECK_THAT(one.errors, Contains("clusters' surrogates are kept") && !Contains("0 are new"));
    completed(study.run({.ranks = 3}, "three", later));
    CHECK(differences(study / "one", study / "three") == without_networks);
}
