// Fleets of real devices: a program of the user's, or the user, measures candidates on them.
#include "end_to_end/tiny_study.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

using namespace hdap;
using namespace hdap::test;

namespace {

/// A device that takes as long as the candidate's file is large.
const std::string stand_in =
    "size=$(wc -c <\"$2\"); case $1 in unit-0|unit-3|unit-6|unit-9) f=14;; "
    "*) f=10;; esac; echo \"latency: $((size * f)) ns\"\n";

/// A study of these devices, each of which is `device`, a script that gets its name and a file.
class RealStudy {
  public:
    RealStudy(const std::string& source, const std::string& device,
              const std::string& files = "{network}") {
        std::ofstream(study_ / "telemetry.csv") << telemetry_csv(12, 1.4);
        std::ofstream(study_ / "device.sh") << device;
        std::ofstream(study_ / "real.toml")
            << "[study]\nname = \"real\"\nseed = 3\n[fleet]\nsource = \"" << source
            << "\"\nfile = \"fleet.h5\"\nbatch = 1\n"
            << (source == "command"
                    ? "[latency]\ncommand = \"sh " + (study_ / "device.sh").string() +
                          " {device} " + files + "\"\nretries = 0\n"
                    : "")
            << "[network]\nname = \"mobilenet_v1\"\nwidth = 0.25\n"
               "[clusters]\nmethod = \"dbscan\"\nmetric = \"level\"\neps = 0.05\nmin_points = "
               "2\nrepresentatives = 2\n"
               "[profile]\ncandidates = 30\n[search]\npopulation = 8\ngenerations = 3\n"
               "objectives = [\"latency.mean\", \"flops\"]\n";
        const Outcome imported =
            study_.call({.ranks = 0}, {"fleet", "import", path("telemetry.csv"), path("fleet.h5"),
                                       "--sku", "board"});
        INFO(imported.errors);
        REQUIRE(imported.exit_code == 0);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return study_ / name; }
    [[nodiscard]] Arguments arguments(const std::string& out, const Arguments& more = {}) const {
        Arguments all{"run", path("real.toml"), "--out", path(out)};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] Outcome run(const std::string& out, int ranks = 0,
                              const Arguments& more = {}) const {
        return study_.call({.ranks = ranks}, arguments(out, more));
    }
    [[nodiscard]] Outcome call(const Arguments& words) const {
        return study_.call({.ranks = 0}, words);
    }
    [[nodiscard]] Process start(const std::string& out) const {
        return study_.start({.ranks = 0}, arguments(out));
    }
    /// Of the measurements of a run.
    [[nodiscard]] std::vector<std::string> lines(const std::string& out) const {
        std::vector<std::string> lines;
        std::istringstream text(text_of(path(out + "/measurements/measurements.jsonl")));
        for (std::string line; std::getline(text, line);)
            lines.push_back(line);
        return lines;
    }

  private:
    TinyStudy study_{TinyStudy::Weights::initial};
};

constexpr std::size_t asked = 4 * 30; // two representatives of two clusters

/// For a study with a bound on latencies.
const Arguments bounded{"--set", "search.constraints=[\"latency.p95 <= 0.5x\"]"};

} // namespace

TEST_CASE("a command measures every candidate once on every representative, to the same front on 1 "
          "and 3 ranks and after a stop",
          "[mpi]") {
    const RealStudy study("command", stand_in);
    const Outcome one = study.run("one");
    INFO(one.errors);
    REQUIRE(one.exit_code == 0);
    CHECK(study.lines("one").size() == asked);
    CHECK_THAT(one.output, Catch::Contains("12 devices (board)"));
    CHECK(study.run("three", 3).exit_code == 0);
    CHECK(text_of(study.path("three/front.csv")) == text_of(study.path("one/front.csv")));

    Process stopped = study.start("stopped");
    REQUIRE(stopped.wait_until([&] { return study.lines("stopped").size() >= 3; }));
    stopped.signal(SIGTERM);
    const Outcome ended = stopped.wait();
    // It may have been over before.
    CHECK((ended.exit_code == 75 || ended.exit_code == 0));
    const Outcome more = study.run("stopped");
    INFO(more.errors);
    CHECK(more.exit_code == 0);
    const std::vector<std::string> lines = study.lines("stopped");
    CHECK(std::set(lines.begin(), lines.end()).size() == asked);
    CHECK(lines.size() == asked);
    CHECK(text_of(study.path("stopped/front.csv")) == text_of(study.path("one/front.csv")));
}

TEST_CASE(
    "a device that fails on many candidates in a row, but measures the unpruned network, is not "
    "given up") {
    // Candidates of less than 1 MB cannot be compiled there.
    const RealStudy study("command",
                          "test $(wc -c <\"$2\") -gt 1000000 || case $1 in unit-0|unit-3|"
                          "unit-6|unit-9) echo 'cannot compile' >&2; exit 1;; esac\n" +
                              stand_in);
    const Outcome outcome = study.run("run");
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(study.lines("run").size() == asked);
    CHECK_THAT(outcome.errors, Catch::Contains("could not be measured") &&
                                   Catch::Contains("cannot compile") &&
                                   !Catch::Contains("given up"));
}

TEST_CASE("a call that measures several candidates brings the same as one for each, and when it "
          "fails they are measured one by one") {
    const RealStudy single("command", stand_in);
    CHECK(single.run("run").exit_code == 0);
    const RealStudy several(
        "command",
        "d=$1; shift; test $# -gt 1 && test $d = unit-0 && exit 1\n"
        "case $d in unit-0|unit-3|unit-6|unit-9) f=14;; *) f=10;; esac\n"
        "echo benchmark,latency_ns\n"
        "for n; do echo \"$(basename \"$n\"),$(($(wc -c <\"$n\") * f))\"; done\n",
        "{networks}");
    const Outcome outcome = several.run("run");
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(several.lines("run").size() == asked);
    CHECK(text_of(several.path("run/front.csv")) == text_of(single.path("run/front.csv")));
}

TEST_CASE("what devices measure while they get slower from call to call is told as of one time") {
    // Call n takes 1 + 0.8 n times as long.
    const std::string script =
        "d=$1; shift; n=$(dirname \"$0\")/calls-$d; echo x >>\"$n\"; slow=DRIFT\n"
        "case $d in unit-0|unit-3|unit-6|unit-9) f=14;; *) f=10;; esac\n"
        "echo benchmark,latency_ns\n"
        "for n; do echo \"$(basename \"$n\"),$(($(wc -c <\"$n\") * f * (10 + slow)))\"; done\n";
    const auto profile_of = [&](const std::string& drift) {
        std::string device = script;
        device.replace(device.find("DRIFT"), 5, drift);
        const RealStudy study("command", device, "{networks}");
        const Outcome outcome = study.run("run", 0, {"--set", "latency.networks_at_once=10"});
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        CHECK(study.lines("run").size() == asked);
        const auto file = storage::Hdf5Reader::from_bytes(
            storage::read_sealed(study.path("run/profile.h5")), "profile.h5");
        return file.read<double>("/latency_ms");
    };
    const std::vector<double> steady = profile_of("0");
    const std::vector<double> drifting = profile_of("$(($(wc -l <\"$n\") * 8))");
    REQUIRE(drifting.size() == steady.size());
    // In the second of three calls everything takes 2.6 times as long.
    for (std::size_t i = 0; i < steady.size(); ++i)
        CHECK(drifting[i] / steady[i] == Approx(2.6).epsilon(1e-6));
}

TEST_CASE("a device that does not answer is given up and named, and measured when it is back") {
    const RealStudy study("command",
                          "test -f \"$(dirname \"$0\")/back\" || case $1 in unit-0|unit-3|"
                          "unit-6|unit-9) echo 'no route to host' >&2; exit 255;; esac\n" +
                              stand_in);
    const Outcome waiting = study.run("run");
    INFO(waiting.errors);
    CHECK(waiting.exit_code == 76);
    CHECK_THAT(waiting.errors, Catch::Contains("hdap: waiting for measurements: 60 of 120") &&
                                   Catch::Contains("ended with exit code 255") &&
                                   Catch::Contains("no route to host") &&
                                   !Catch::Contains("error: waiting"));
    CHECK(study.lines("run").size() == asked / 2); // nothing of it counts as failed
    std::ofstream(study.path("back")) << "\n";
    CHECK(study.run("run").exit_code == 0);
    CHECK(study.lines("run").size() == asked);
}

TEST_CASE("a candidate that fails is left out and its output kept, and one that hangs is ended") {
    const RealStudy study("command", "n=$(dirname \"$0\")/count-$1; echo x >>\"$n\"; "
                                     "case $(wc -l <\"$n\") in 5) echo 'cannot compile'; exit 1;; "
                                     "7) sleep 600;; 9) echo 12.5; exit 0;; esac\n" +
                                         stand_in);
    const Outcome outcome = study.run("run", 0, {"--set", "latency.timeout_seconds=6"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.errors, Catch::Contains("12 candidates on devices could not be measured") &&
                                   Catch::Contains("left out, as not measured on every cluster"));
    std::size_t hung = 0;
    std::size_t without_unit = 0;
    for (const std::string& line : study.lines("run")) {
        if (line.find("did not end within 6 s") != std::string::npos) ++hung;
        if (line.find("printed '12.5' last; expected a latency with its unit") != std::string::npos)
            ++without_unit;
    }
    CHECK(hung == 4);
    CHECK(without_unit == 4);
    std::size_t kept = 0;
    for (const auto& file :
         std::filesystem::recursive_directory_iterator(study.path("run/measurements/printed")))
        if (file.is_regular_file() &&
            text_of(file.path()).find("cannot compile") != std::string::npos)
            ++kept;
    CHECK(kept == 4);
}

TEST_CASE(
    "a recorded study asks for its measurements, waits for them, and goes on when they come") {
    const RealStudy study("recorded", stand_in);
    const Outcome waiting = study.run("run");
    CHECK(waiting.exit_code == 76);
    CHECK_THAT(waiting.errors, Catch::Contains("waiting for measurements: 0 of 120"));
    const std::string config = study.path("real.toml");
    CHECK(study.call({"profile", "plan", config, "--out", study.path("run")}).exit_code == 0);
    const std::filesystem::path plan = study.path("run/measurements");
    // What a plan's script does on a device, with the stand-in for its tool.
    std::size_t first = 0;
    for (const auto& list : std::filesystem::directory_iterator(plan / "outstanding")) {
        const std::string device = list.path().stem();
        const auto results = plan / "results" / device;
        std::filesystem::create_directories(results);
        std::ifstream candidates(list.path());
        for (std::string name; std::getline(candidates, name);) {
            if (first++ == 7) {
                std::ofstream(results / (name + ".failed")) << "out of memory\n";
                continue;
            }
            const auto bytes = std::filesystem::file_size(plan / "networks" / (name + ".onnx"));
            std::ofstream(results / (name + ".csv")) << "latency_us\n" << bytes / 100 << "\n";
        }
    }
    const Arguments import{"profile", "import", config, "--out", study.path("run")};
    const Outcome imported = study.call(import);
    INFO(imported.errors);
    CHECK(imported.exit_code == 0);
    CHECK_THAT(imported.output, Catch::Contains("119 measurements new, 1 failed") &&
                                    Catch::Contains("120 of 120 are there"));
    CHECK_THAT(study.call(import).output, Catch::Contains("0 measurements new, 119 known before"));
    const Outcome complete = study.run("run");
    INFO(complete.errors);
    CHECK(complete.exit_code == 0);

    std::filesystem::create_directories(study.path("other/unit-99"));
    std::ofstream(study.path("other/unit-99/c-000000000000.csv")) << "latency_us\n1\n";
    Arguments foreign = import;
    foreign.insert(foreign.begin() + 3, study.path("other/{device}/{benchmark}.csv"));
    const Outcome refused = study.call(foreign);
    CHECK(refused.exit_code == 3);
    CHECK_THAT(refused.errors, Catch::Contains("c-000000000000") && Catch::Contains("'unit-99'"));
}

TEST_CASE("what a study ended with is measured anew on its devices, or those that answer, or a "
          "sample, and held against the predictions") {
    const RealStudy study("command", "test -f \"$(dirname \"$0\")/gone\" && test $1 = unit-1 && "
                                     "exit 255\n" +
                                         stand_in);
    const auto verify = [&](const Arguments& more = {}) {
        Arguments words{"fleet", "verify", study.path("run")};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome outcome = study.call(words);
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 0);
        return outcome.output;
    };
    CHECK(study.call({"fleet", "verify", study.path("run")}).exit_code == 2);
    REQUIRE(study.run("run", 0, bounded).exit_code == 0);
    const auto front = [&] { return text_of(study.path("run/front.csv")); };
    CHECK_THAT(front(), Catch::Contains(",unknown,") && !Catch::Contains("latency_fleet_ms"));
    std::ofstream(study.path("gone")) << "\n";
    CHECK_THAT(verify(),
               Catch::Contains("measured on 12 devices") && Catch::Contains("11 of them measured"));
    CHECK_THAT(front(), !Catch::Contains(",unknown,") && Catch::Contains("latency_fleet_ms"));
    std::filesystem::remove(study.path("gone"));

    const std::size_t before = study.lines("run").size();
    CHECK_THAT(verify({"--rounds", "2"}), Catch::Contains("on the devices, each one measured"));
    CHECK_THAT(front(), !Catch::Contains(",unknown,") && Catch::Contains(",yes,"));
    std::istringstream pairs(text_of(study.path("run/verification.csv")));
    std::string line;
    std::getline(pairs, line);
    CHECK(line == "network,device_id,predicted_ms,measured_ms");
    std::size_t rows = 0;
    while (std::getline(pairs, line)) {
        ++rows;
        CHECK(line.back() != ',');
    }
    CHECK(rows % 12 == 0);
    CHECK(rows >= 24);
    CHECK(study.lines("run").size() == before + 2 * rows);
    CHECK_THAT(verify({"--devices", "4"}), Catch::Contains("4 of them measured"));
    // The study itself leaves it as it is.
    CHECK_THAT(study.run("run", 0, bounded).output, Catch::Contains("4 of them measured"));
}

TEST_CASE("a bound that holds by prediction and not on the devices is flagged in the table, "
          "front.csv, the report and the results") {
    // By then networks of less than 1 MB take four times as long.
    const RealStudy study("command",
                          "test -f \"$(dirname \"$0\")/worn\" && test $(wc -c <\"$2\") -lt 1000000 "
                          "&& cat \"$2\" \"$2\" \"$2\" \"$2\" >\"$2.4\" && set \"$1\" \"$2.4\"\n" +
                              stand_in);
    REQUIRE(study.run("run", 0, bounded).exit_code == 0);
    const std::string results = text_of(study.path("run/results.h5"));
    std::ofstream(study.path("worn")) << "\n";
    const Outcome verified = study.call({"fleet", "verify", study.path("run"), "--devices", "6"});
    INFO(verified.errors);
    CHECK(verified.exit_code == 0);
    CHECK_THAT(verified.output,
               Catch::Contains("constraints on the devices, 6 of them measured.") &&
                   Catch::Contains("latency.p95 <= 0.5x"));
    CHECK_THAT(verified.errors, Catch::Contains("break a constraint on the devices"));
    CHECK_THAT(text_of(study.path("run/front.csv")), Catch::Contains(",no,latency.p95 <= 0.5x,"));
    CHECK_THAT(text_of(study.path("run/report.html")),
               Catch::Contains("breaks latency.p95 &lt;= 0.5x"));
    CHECK(text_of(study.path("run/results.h5")) != results);

    // What is damaged is told, and counts as not verified; the measurements are still there.
    std::ofstream(study.path("run/verification.h5")) << "damaged";
    const Outcome damaged = study.run("run", 0, bounded);
    CHECK(damaged.exit_code == 0);
    CHECK_THAT(damaged.errors, Catch::Contains("verification.h5"));
    CHECK_THAT(text_of(study.path("run/front.csv")), Catch::Contains(",unknown,"));
}

TEST_CASE("ranks are the devices of a live fleet, and a device that no rank is is waited for",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "live.toml")
        << "[study]\nname = \"live\"\n[fleet]\nsource = \"live\"\nfile = \"fleet.h5\"\n"
           "benchmarks = 2\nbatch = 1\n[network]\nname = \"mobilenet_v1\"\nwidth = 0.25\n"
           "[clusters]\nmethod = \"dbscan\"\nmetric = \"level\"\neps = 1e-9\nmin_points = 1\n"
           "[latency]\nnetworks_at_once = 5\n[profile]\ncandidates = 12\nruns = 2\n[search]\n"
           "population = 8\ngenerations = 2\nobjectives = [\"latency.mean\", \"flops\"]\n";
    const Launch two{.ranks = 2};
    const Outcome measured =
        study.call(two, {"fleet", "measure", study / "live.toml", "--set", "fleet.source=simulated",
                         "--set", "fleet.file=", "--sku", "board", "--threads", "1", "--rounds",
                         "2", "--out", study / "fleet.h5"});
    INFO(measured.errors);
    REQUIRE(measured.exit_code == 0);
    const Arguments run{"run", study / "live.toml", "--threads", "1", "--out", study / "run"};
    const Outcome waiting = study.call({.ranks = 0}, run);
    CHECK(waiting.exit_code == 76);
    CHECK_THAT(waiting.errors, Catch::Contains("which no rank of this job is"));
    const Outcome complete = study.call(two, run);
    INFO(complete.errors);
    CHECK(complete.exit_code == 0);
    const std::string log = text_of(study / "run/measurements/measurements.jsonl");
    CHECK(std::count(log.begin(), log.end(), '\n') == 24);
    CHECK(study.call({.ranks = 0}, run).exit_code == 0);
}

TEST_CASE("what real devices cannot have is refused before anything is measured") {
    const RealStudy study("command", stand_in);
    const auto refusal = [&](const Arguments& more) {
        const Outcome outcome = study.run("refused", 0, more);
        CHECK(outcome.exit_code == 2);
        return outcome.errors;
    };
    CHECK_THAT(refusal({"--set", "fleet.file="}), Catch::Contains("needs fleet.file"));
    CHECK_THAT(refusal({"--set", "latency.command=measure"}), Catch::Contains("has no {network}"));
    CHECK_THAT(refusal({"--set", "fleet.source=simulated"}),
               Catch::Contains("fleet.file names real devices"));
    CHECK_FALSE(std::filesystem::exists(study.path("refused/measurements")));
}
