// Studies in which accuracy plays no part, and fleets that were measured elsewhere.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>
#include <sstream>
#include <utility>

using namespace hdap;
using namespace hdap::test;

namespace {

constexpr int devices = 30;
constexpr int candidates = 40;

/// The network of `configuration`, as the zoo makes it where there are no images.
network::Network searched_network() {
    return network::make_network({.name = "mobilenet_v1", .width = 0.25});
}

std::string configuration(const std::string& fleet) {
    return "[study]\nname = \"latency\"\nseed = 3\n[fleet]\nbenchmarks = 3\nbatch = 1\n" + fleet +
           "[network]\nname = \"mobilenet_v1\"\nwidth = 0.25\n[profile]\ncandidates = 30\n"
           "[search]\npopulation = 8\ngenerations = 3\n"
           "objectives = [\"latency.mean\", \"flops\"]\n"
           "constraints = [\"latency.p95 <= 0.9x\", \"latency.sla(1000ms) <= 0.5\"]\n";
}

std::vector<network::Genome> random_genomes(const network::SearchSpace& space) {
    std::vector<network::Genome> genomes;
    for (int c = 0; c < candidates; ++c) {
        core::RandomStream random(1, core::StreamId::profile_candidates,
                                  static_cast<std::uint32_t>(c));
        genomes.push_back(space.unpruned());
        for (std::size_t g = 0; c > 0 && g < genomes.back().size(); ++g)
            genomes.back()[g] = space.nearest_allowed(g, random.uniform() * genomes.back()[g]);
    }
    return genomes;
}

/// The whole of a small search space.
std::vector<network::Genome> all_genomes(const network::SearchSpace& space) {
    std::vector<network::Genome> genomes{{}};
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        std::vector<network::Genome> longer;
        for (const network::Genome& genome : genomes)
            for (const std::int32_t count : space.allowed_counts(g)) {
                longer.push_back(genome);
                longer.back().push_back(count);
            }
        genomes = std::move(longer);
    }
    return genomes;
}

/// Latencies of candidates on devices of two kinds, by their multiply-accumulates.
std::string recorded_csv(const network::SearchSpace& space,
                         const std::vector<network::Genome>& genomes, double slow = 1.4) {
    const network::CostModel costs(searched_network(), space.structure());
    std::string text = "device_id,run,latency_ms";
    for (const auto& group : space.groups())
        text += ",keep_" + group.name;
    text += "\n";
    for (const network::Genome& genome : genomes) {
        const double macs = static_cast<double>(costs.total(genome).macs);
        for (int d = 0; d < devices; ++d) {
            const double speed = (d % 3 == 0 ? slow : 1.0) * (1.0 + 1e-3 * d);
            text += "unit-" + std::to_string(d) + ",0," + std::to_string(speed * macs * 1e-6);
            for (const std::int32_t channels : genome)
                text += "," + std::to_string(channels);
            text += "\n";
        }
    }
    return text;
}

/// A third of the devices is slow, by as much as is said.
std::string recorded_csv(double slow = 1.4) {
    const network::SearchSpace space(searched_network(), {});
    return recorded_csv(space, random_genomes(space), slow);
}

/// The rows of front.csv by column; none of these studies needs quotes in it.
std::vector<std::map<std::string, std::string>> rows_of(const std::filesystem::path& front) {
    const auto split = [](const std::string& line) {
        std::vector<std::string> fields;
        std::istringstream stream(line + ",");
        for (std::string field; std::getline(stream, field, ',');)
            fields.push_back(field);
        return fields;
    };
    std::istringstream lines(text_of(front));
    std::string line;
    std::getline(lines, line);
    const std::vector<std::string> names = split(line);
    std::vector<std::map<std::string, std::string>> rows;
    while (std::getline(lines, line)) {
        const std::vector<std::string> fields = split(line);
        REQUIRE(fields.size() == names.size());
        for (std::size_t i = 0; i < names.size(); ++i)
            (i == 0 ? rows.emplace_back() : rows.back())[names[i]] = fields[i];
    }
    return rows;
}

Outcome run(const TinyStudy& study, const Launch& launch, const std::string& config,
            const std::string& out) {
    return study.call(launch, {"run", study / config, "--threads", std::to_string(launch.threads),
                               "--out", study / out});
}

} // namespace

TEST_CASE("a study without images and weights is searched by latency and costs alone, to the same "
          "bits on 1 and 3 ranks",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "latency.toml") << configuration("[fleet.synthetic]\ndevices = 50\n");
    const Outcome one = run(study, {.ranks = 0}, "latency.toml", "one");
    INFO(one.errors);
    REQUIRE(one.exit_code == 0);
    CHECK_THAT(one.output, Catch::Contains("study latency is complete"));
    const std::string front = text_of(study / "one/front.csv");
    CHECK_THAT(front, Catch::Contains("latency_p95_ms") && Catch::Contains("latency_sla_1000ms") &&
                          !Catch::Contains("accuracy"));
    CHECK(std::filesystem::exists(study / "one/report.html"));
    auto rows = rows_of(study / "one/front.csv");
    const double limit = 0.9 * std::stod(rows.front()["latency_p95_ms_on_devices"]);
    for (auto& row : rows) {
        const bool keeps = std::stod(row["latency_p95_ms_on_devices"]) <= limit;
        CHECK(row["holds_on_devices"] == (keeps ? "yes" : "no"));
        CHECK(row["broken"] == (keeps ? "" : "latency.p95 <= 0.9x"));
        CHECK(row["latency_sla_1000ms_on_devices"] == "0");
    }
    REQUIRE(run(study, {.ranks = 3, .threads = 2}, "latency.toml", "three").exit_code == 0);
    CHECK(text_of(study / "three/front.csv") == front);
}

TEST_CASE(
    "the stages before the search read neither weights nor the images' pixels, and the search "
    "says what is missing") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::filesystem::remove(study / "weights.h5");
    const auto call = [&](const Arguments& stage) {
        Arguments arguments = stage;
        arguments.insert(arguments.end(), {study.config(), "--out", study / "run"});
        return study.call({.ranks = 0}, arguments);
    };
    const Outcome fleet = call({"fleet", "synth"});
    INFO(fleet.errors);
    CHECK(fleet.exit_code == 0);
    CHECK(call({"surrogate", "fit"}).exit_code == 0);
    const Outcome search = call({"search"});
    CHECK(search.exit_code == 3);
    CHECK_THAT(search.errors, Catch::Contains("weights.h5"));
}

TEST_CASE("an objective that needs accuracies is refused where nothing measures them") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "latency.toml") << configuration("");
    const Outcome outcome =
        study.call({.ranks = 0}, {"run", study / "latency.toml", "--out", study / "run", "--set",
                                  "search.objectives=[\"latency.mean\", \"accuracy_drop\"]"});
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Catch::Contains("data.file is missing"));
}

TEST_CASE("a fleet that was recorded elsewhere is clustered and searched, to the same bits on 1 "
          "and 3 ranks, and predictions are not called measurements",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "recorded.csv") << recorded_csv();
    std::ofstream(study / "recorded.toml") << configuration(
        "source = \"recorded\"\n[fleet.recorded]\nfile = \"recorded.csv\"\nsku = \"board\"\n");
    const Outcome one = run(study, {.ranks = 0}, "recorded.toml", "one");
    INFO(one.errors);
    REQUIRE(one.exit_code == 0);
    CHECK_THAT(one.output, Catch::Contains("30 devices (board)") && Catch::Contains("predicted") &&
                               Catch::Contains("it is not known whether latency.p95 <= 0.9x"));
    auto rows = rows_of(study / "one/front.csv");
    CHECK(rows[0]["holds_on_devices"] == "no"); // the table has the unpruned network
    CHECK(rows[1]["holds_on_devices"] == "unknown");
    CHECK(rows[1]["latency_p95_ms_on_devices"].empty());
    const auto profile = storage::Hdf5Reader::from_bytes(
        storage::read_sealed(study / "one/profile.h5"), "profile.h5");
    CHECK(profile.shape("/genomes").at(0) == candidates);
    // The two kinds of devices differ by one factor, so one cluster stands for both.
    CHECK(profile.shape("/latency_ms").at(0) == 1);
    REQUIRE(run(study, {.ranks = 3}, "recorded.toml", "three").exit_code == 0);
    CHECK(text_of(study / "three/front.csv") == text_of(study / "one/front.csv"));
}

TEST_CASE("what a recorded table holds of the front is compared with the constraints as measured") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const network::SearchSpace space(searched_network(), {.min_keep = 0.5, .divisor = 64});
    std::ofstream(study / "recorded.csv") << recorded_csv(space, all_genomes(space));
    std::string text = configuration(
        "source = \"recorded\"\n[fleet.recorded]\nfile = \"recorded.csv\"\nsku = \"board\"\n");
    const std::string width = "width = 0.25\n";
    text.replace(text.find(width), width.size(), width + "min_keep = 0.5\nchannel_divisor = 64\n");
    std::ofstream(study / "recorded.toml") << text;
    const Outcome outcome = run(study, {.ranks = 0}, "recorded.toml", "run");
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK_THAT(outcome.output, Catch::Contains("on the devices, as recorded there"));
    auto rows = rows_of(study / "run/front.csv");
    CHECK(rows.size() > 1);
    // The 29th of 30 devices is of the slow kind.
    for (auto& row : rows) {
        const double measured = std::stod(row["latency_p95_ms_on_devices"]);
        CHECK(measured / std::stod(rows[0]["latency_p95_ms_on_devices"]) ==
              Approx(std::stod(row["flops"]) / std::stod(rows[0]["flops"])).epsilon(1e-4));
        CHECK(row["holds_on_devices"] ==
              (std::stod(row["flops"]) <= 0.9 * std::stod(rows[0]["flops"]) ? "yes" : "no"));
    }
}

TEST_CASE("a recorded fleet with other content is another study's") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string text = recorded_csv();
    std::ofstream(study / "recorded.csv") << text;
    std::ofstream(study / "recorded.toml") << configuration(
        "source = \"recorded\"\n[fleet.recorded]\nfile = \"recorded.csv\"\nsku = \"board\"\n");
    REQUIRE(run(study, {.ranks = 0}, "recorded.toml", "run").exit_code == 0);
    std::string other = text;
    other.replace(other.find("unit-7,0,") + 9, 1, "9");
    std::ofstream(study / "recorded.csv") << other;
    const Outcome outcome = run(study, {.ranks = 0}, "recorded.toml", "run");
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Catch::Contains("fleet.h5 was made from other input"));
}

TEST_CASE("a row of a recorded fleet that cannot be is named by file, line and column") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "recorded.toml") << configuration(
        "source = \"recorded\"\n[fleet.recorded]\nfile = \"recorded.csv\"\nsku = \"board\"\n");
    std::ofstream(study / "recorded.csv") << recorded_csv() << "unit-0,1,nan\n";
    const Outcome outcome = run(study, {.ranks = 0}, "recorded.toml", "run");
    CHECK(outcome.exit_code == 3);
    CHECK_THAT(outcome.errors, Catch::Contains("recorded.csv:1202:"));
}

TEST_CASE("an ablation over recorded tables profiles each table once, and tells differences over "
          "tables and in each") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::filesystem::create_directory(study / "tables");
    std::ofstream(study / "tables/near.csv") << recorded_csv(1.2);
    std::ofstream(study / "tables/far.csv") << recorded_csv(2.0);
    std::ofstream(study / "base.toml") << configuration("");
    std::ofstream(study / "plan.toml")
        << "[ablation]\nbase = \"base.toml\"\ncompare = \"algorithm\"\n"
           "baseline = \"random\"\n[settings]\n\"fleet.source\" = \"recorded\"\n"
           "[[axis]]\nname = \"table\"\nkey = \"fleet.recorded.file\"\nfiles = \"tables/*.csv\"\n"
           "[[axis]]\nkey = \"search.algorithm\"\nvalues = [\"random\", \"nsga2\"]\n";
    const auto ablate = [&](const Arguments& words) {
        Arguments all{"ablate", words.front(), study / "plan.toml", "--out", study / "out"};
        all.insert(all.end(), words.begin() + 1, words.end());
        return study.call({.ranks = 0}, all);
    };
    const Outcome ran = ablate({"run", "--workers", "1"});
    INFO(ran.output << ran.errors);
    REQUIRE(ran.exit_code == 0);
    CHECK_THAT(ran.output, Catch::Contains("4 of 4 cells are complete, 0 failed"));

    std::size_t profiles = 0;
    for (const auto& file : std::filesystem::directory_iterator(study / "out/store"))
        if (file.path().filename().string().starts_with("profile-") &&
            file.path().extension() == ".h5")
            ++profiles;
    CHECK(profiles == 2);

    const Outcome collected = ablate({"collect"});
    CHECK_THAT(collected.output, Catch::Contains("compared with random, over fleets (table)") &&
                                     Catch::Contains("hypervolume, fleet by fleet") &&
                                     Catch::Contains("table=near") && Catch::Contains("table=far"));
    // A network takes longer where the slow devices are slower.
    std::map<std::string, double> unpruned_ms;
    for (const auto& cell : std::filesystem::directory_iterator(study / "out/cells"))
        unpruned_ms[text_of(cell.path() / "config.toml").find("near.csv") == std::string::npos
                        ? "far"
                        : "near"] =
            std::stod(rows_of(cell.path() / "front.csv")[0]["latency_mean_ms"]);
    CHECK(unpruned_ms["far"] / unpruned_ms["near"] ==
          Approx((2.0 + 2 * 1.0) / (1.2 + 2 * 1.0)).epsilon(0.01));
}
