// Latencies under continuous load: devices that heat up, and do not rank networks as cold ones do.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace hdap::test;

namespace {

/// What a network whose file is this share of the unpruned network's takes on a hot device,
/// relative to the unpruned one; on a cold one it is (0.5 + share) / 1.5. Networks of the middle
/// heat a device up most: one of 0.7 takes more than the whole there.
double hot(double share) {
    return (0.5 + share * (3.0 - 2.0 * share)) / 1.5;
}

/// A study of devices that take as long as a network's file is large, and `hot` under continuous
/// load. A larger network is more accurate.
class HotStudy {
  public:
    HotStudy() {
        const std::string whole = path("whole.onnx");
        REQUIRE(study_
                    .call({.ranks = 0}, {"network", "export", "mobilenet_v1", "--width", "0.25",
                                         "--classes", "3", "--channels", "1", "--image-size", "16",
                                         "--weights", path("weights.h5"), "--out", whole})
                    .exit_code == 0);
        const std::string bytes = std::to_string(std::filesystem::file_size(whole));
        std::ofstream(study_ / "telemetry.csv") << telemetry_csv(6, 1.0);
        std::ofstream(study_ / "device.sh")
            << "size=$(wc -c <\"$2\"); whole=" << bytes
            << "\n"
               "test -z \"$3\" || size=$((size * (3 * whole - 2 * size) / whole))\n"
               "echo \"latency: $(((whole / 2 + size) * 10)) ns\"\n";
        std::ofstream(study_ / "accuracy.sh")
            << "awk -v size=\"$(wc -c <\"$1\")\" 'BEGIN { share = size / " << bytes
            << "; print (share < 1 ? share : 1) }'\n";
        std::ofstream(study_ / "hot.toml")
            << "[study]\nname = \"hot\"\nseed = 3\n[fleet]\nsource = \"command\"\n"
               "file = \"fleet.h5\"\nbatch = 1\n[latency]\ncommand = \""
            << command("device.sh {device} {network}") << "\"\nsustained_command = \""
            << command("device.sh {device} {network} {seconds}")
            << "\"\nsustained_seconds = 60\nretries = 0\n"
               "[network]\nname = \"mobilenet_v1\"\nwidth = 0.25\nweights = \"weights.h5\"\n"
               "[data]\nfile = \"images.h5\"\nheld_out = 200\nevaluation_images = 60\n"
               "recalibration_images = 32\n[accuracy]\ncommand = \""
            << command("accuracy.sh {network}")
            << "\"\n[clusters]\nmethod = \"dbscan\"\nmetric = \"level\"\neps = 0.05\nmin_points = "
               "2\nrepresentatives = 1\n"
               "[profile]\ncandidates = 60\n[search]\npopulation = 8\ngenerations = 6\n"
               "objectives = [\"latency.mean\", \"accuracy_drop\"]\n[finetune]\ncandidates = 0\n";
        const Outcome imported =
            study_.call({.ranks = 0}, {"fleet", "import", path("telemetry.csv"), path("fleet.h5"),
                                       "--sku", "board"});
        INFO(imported.errors);
        REQUIRE(imported.exit_code == 0);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return study_ / name; }
    [[nodiscard]] Arguments arguments(const std::string& out, const Arguments& more) const {
        Arguments all{"run", path("hot.toml"), "--out", path(out)};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] Outcome run(const std::string& out, const Arguments& more, int ranks = 0) const {
        return study_.call({.ranks = ranks}, arguments(out, more));
    }
    [[nodiscard]] Outcome call(const Arguments& words) const {
        return study_.call({.ranks = 0}, words);
    }
    [[nodiscard]] Process start(const std::string& out, const Arguments& more) const {
        return study_.start({.ranks = 0}, arguments(out, more));
    }
    [[nodiscard]] std::size_t measured(const std::string& out) const {
        const std::string text = text_of(path(out + "/measurements/measurements.jsonl"));
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }

  private:
    [[nodiscard]] std::string command(const std::string& script) const {
        return "sh " + path(script);
    }

    TinyStudy study_{TinyStudy::Weights::initial};
};

/// A column of front.csv of the rows of the front; of a text, 0.
std::vector<double> front_column(const std::string& file, const std::string& column) {
    std::ifstream input(file);
    std::vector<std::vector<std::string>> rows;
    for (std::string line; std::getline(input, line);) {
        std::istringstream fields(line);
        rows.emplace_back();
        for (std::string field; std::getline(fields, field, ',');)
            rows.back().push_back(field);
    }
    const auto& header = rows.at(0);
    const auto at =
        static_cast<std::size_t>(std::find(header.begin(), header.end(), column) - header.begin());
    std::vector<double> values;
    for (const auto& row : rows)
        if (row.at(0).starts_with("front-"))
            values.push_back(std::strtod(row.at(at).c_str(), nullptr));
    return values;
}

/// What the networks of a front really take on hot devices, relative to the unpruned one.
struct OnHotDevices {
    explicit OnHotDevices(const std::string& front) {
        for (const double share : front_column(front, "accuracy")) {
            largest = std::max(largest, hot(share));
            ++(hot(share) <= 0.7 ? kept : broken);
        }
    }
    double largest = 0.0;
    int kept = 0; ///< networks that keep a bound of 0.7
    int broken = 0;
};

const Arguments when_cold{"--set", "search.constraints=[\"latency.mean <= 0.7x\"]"};
const Arguments when_hot{"--set", "search.constraints=[\"latency.sustained <= 0.7x\"]"};
constexpr std::size_t asked = 60; // of the only cluster's representative

} // namespace

TEST_CASE("a bound on the latency under continuous load holds on devices that heat up, where the "
          "same bound on the usual latency does not, for any ranks and after a kill",
          "[mpi]") {
    const HotStudy study;
    const Outcome cold = study.run("cold", when_cold);
    INFO(cold.errors);
    REQUIRE(cold.exit_code == 0);
    CHECK(study.measured("cold") == asked); // nobody asked for more
    const OnHotDevices bounded_cold(study.path("cold/front.csv"));
    CHECK(bounded_cold.largest > 1.0);
    CHECK(bounded_cold.broken > bounded_cold.kept);

    const Outcome hot = study.run("hot", when_hot);
    INFO(hot.errors);
    REQUIRE(hot.exit_code == 0);
    CHECK(study.measured("hot") == 2 * asked);
    CHECK_THAT(hot.errors, Catch::Contains("surrogates under continuous load: layer_additive of 1 cluster,"));
    const std::string front = study.path("hot/front.csv");
    // Surrogates of so few candidates are some per cent off.
    const OnHotDevices bounded_hot(front);
    CHECK(bounded_hot.largest < 1.15 * 0.7);
    CHECK(bounded_hot.largest > 0.5);
    CHECK(bounded_hot.kept > 3 * bounded_hot.broken);
    CHECK(front_column(front, "latency_sustained_ms").size() >= 3);
    CHECK_THAT(text_of(front), Catch::Contains(",unknown,")); // nobody measured it on all devices
    CHECK_THAT(study.call({"inspect", study.path("hot/surrogates.h5")}).output,
               Catch::Contains("/sustained/cross_validation/mape"));

    Arguments measured = when_hot;
    measured.insert(measured.end(), {"--set", "latency.folder=" + study.path("hot/measurements")});
    CHECK(study.run("three", measured, 3).exit_code == 0);
    CHECK(study.measured("hot") == 2 * asked);
    CHECK(text_of(study.path("three/front.csv")) == text_of(front));
    Process killed = study.start("killed", when_hot);
    REQUIRE(killed.wait_until([&] { return study.measured("killed") >= asked + 10; }));
    killed.kill_all();
    const Outcome resumed = study.run("killed", when_hot);
    INFO(resumed.errors);
    CHECK(resumed.exit_code == 0);
    CHECK(study.measured("killed") == 2 * asked);
    CHECK(text_of(study.path("killed/front.csv")) == text_of(front));

    // What it ended with is measured so, too: once, while the usual latency has its rounds.
    const Outcome verified = study.call({"fleet", "verify", study.path("killed"), "--rounds", "2"});
    INFO(verified.errors);
    CHECK(verified.exit_code == 0);
    const std::string known = study.path("killed/front.csv");
    CHECK_THAT(text_of(known), !Catch::Contains(",unknown,") && Catch::Contains(",yes,"));
    const auto shares = front_column(known, "accuracy");
    const auto sustained = front_column(known, "latency_sustained_ms_on_devices");
    CHECK(study.measured("killed") == 2 * asked + 3 * 6 * (shares.size() + 1));
    REQUIRE(sustained.size() == shares.size());
    for (std::size_t i = 1; i < shares.size(); ++i)
        CHECK(sustained[i] / sustained[0] ==
              Approx(::hot(shares[i]) / ::hot(shares[0])).epsilon(1e-3));

    // What is measured for longer is another profile.
    Arguments longer = when_hot;
    longer.insert(longer.end(), {"--set", "latency.sustained_seconds=600"});
    CHECK(study.run("hot", longer).exit_code != 0);
}

TEST_CASE(
    "a study that needs latencies under continuous load is refused before anything is measured "
    "where nothing measures them") {
    const HotStudy study;
    const auto refusal = [&](const Arguments& more) {
        Arguments all = when_hot;
        all.insert(all.end(), more.begin(), more.end());
        const Outcome outcome = study.run("refused", all);
        CHECK(outcome.exit_code == 2);
        CHECK_FALSE(std::filesystem::exists(study.path("refused")));
        return outcome.errors;
    };
    CHECK_THAT(refusal({"--set", "search.constraints=[\"energy.mean <= 0.7x\"]"}),
               Catch::Contains("energy.mean needs energies: no command tells how much"));
    CHECK_THAT(refusal({"--set", "latency.sustained_seconds=0"}),
               Catch::Contains("set latency.sustained_seconds"));
    CHECK_THAT(refusal({"--set", "latency.sustained_command="}),
               Catch::Contains("latency.sustained_command, e.g."));
    CHECK_THAT(refusal({"--set", "search.constraints=[]", "--set",
                        "search.objectives=[\"latency.sustained\", \"flops\"]", "--set",
                        "fleet.source=live", "--set", "latency.sustained_seconds=0"}),
               Catch::Contains("how long each candidate runs without a pause"));
}

TEST_CASE(
    "a plan tells what is measured under continuous load and for how long, and its scripts do "
    "so where their tools can") {
    const HotStudy study;
    const Arguments settings{
        "--set", "clusters.representatives=2", "--set", "fleet.source=recorded",
        "--set", "profile.candidates=12",      "--set", "latency.sustained_seconds=0.5"};
    const auto with_settings = [&](Arguments words) {
        words.insert(words.end(), when_hot.begin(), when_hot.end());
        words.insert(words.end(), settings.begin(), settings.end());
        words.insert(words.end(), {"--out", study.path("run")});
        return words;
    };
    const Outcome waiting = study.run("run", [&] {
        Arguments all = when_hot;
        all.insert(all.end(), settings.begin(), settings.end());
        return all;
    }());
    CHECK(waiting.exit_code == 76);
    CHECK_THAT(waiting.errors, Catch::Contains("waiting for measurements: 0 of 48"));
    const std::filesystem::path plan = study.path("run/measurements");
    CHECK_THAT(text_of(plan / "README.txt"), Catch::Contains("continuous load"));
    const std::string manifest = text_of(plan / "manifest.csv");
    CHECK_THAT(manifest, Catch::StartsWith("device,candidate,file,batch,runs,state,"
                                           "sustained_seconds\n"));
    std::vector<std::string> devices;
    for (const auto& list : std::filesystem::directory_iterator(plan / "outstanding"))
        devices.push_back(list.path().stem());
    REQUIRE(devices.size() == 2);

    // Stand-ins for the tools, which note how they are called.
    std::filesystem::create_directories(study.path("bin"));
    const std::string note = "echo \"$0 $*\" >>" + study.path("calls") + "\n";
    std::ofstream(study.path("bin/hdap"))
        << "#!/bin/sh\n"
        << note << "case \"$*\" in *--sustained*) echo \"at first 1 ms\"; "
        << "echo \"$3: 12.5 ms\";; *) shift 8; echo \"latency_ms\n3\" >\"$1\";; esac\n";
    std::ofstream(study.path("bin/trtexec"))
        << "#!/bin/sh\n"
        << note << "for a; do case $a in --exportTimes=*) "
        << "echo '[{\"latencyMs\": 2.5, \"computeMs\": 2.5}]' >\"${a#*=}\";; esac; done\n";
    std::ofstream(study.path("bin/benchmark_app")) << "#!/bin/sh\nexit 1\n";
    for (const char* tool : {"bin/hdap", "bin/trtexec", "bin/benchmark_app"})
        std::filesystem::permissions(study.path(tool), std::filesystem::perms::owner_all);
    const auto script = [&](const std::string& tool, const std::string& device) {
        const std::string line = "PATH=" + study.path("bin") + ":$PATH sh " +
                                 (plan / ("measure-" + tool + ".sh")).string() + " " + device +
                                 " >" + study.path("said") + " 2>&1";
        CHECK(std::system(line.c_str()) == 0);
        return text_of(study.path("said"));
    };
    CHECK_THAT(script("openvino", devices[0]),
               Catch::Contains("is for measure-hdap.sh or measure-trtexec.sh"));
    std::filesystem::remove_all(plan / "results" / devices[0]);
    CHECK_THAT(script("hdap", devices[0]), !Catch::Contains("failed"));
    CHECK_THAT(script("trtexec", devices[1]), !Catch::Contains("failed"));
    const std::string calls = text_of(study.path("calls"));
    CHECK_THAT(calls, Catch::Contains("--batch 1 --sustained 0.5s --quiet") &&
                          Catch::Contains("--warmUp=375 --duration=1 --exportTimes="));

    const Outcome imported =
        study.call(with_settings({"profile", "import", study.path("hot.toml")}));
    INFO(imported.errors);
    CHECK_THAT(imported.output, Catch::Contains("48 of 48 are there"));
    const std::string log = text_of(plan / "measurements.jsonl");
    const auto count = [&](const std::string& text) {
        std::size_t found = 0;
        for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1))
            ++found;
        return found;
    };
    CHECK(count("\"latency_ms\":12.5") == 12);
    CHECK(count("\"latency_ms\":3") == 12);
    CHECK(count("\"latency_ms\":2.5") == 24);
}
