#include "hdap/study/settings.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

using namespace hdap;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

const std::string images_and_weights =
    "[data]\nfile = \"images.h5\"\n[network]\nweights = \"w/weights.h5\"\n";

/// A folder with one configuration.
class ConfigFolder {
  public:
    explicit ConfigFolder(const std::string& text, const std::string& rest = images_and_weights) {
        std::ofstream(folder_ / "study.toml") << rest << text;
    }
    [[nodiscard]] study::Settings load(const std::vector<std::string>& overrides = {}) const {
        return study::load_settings_file(folder_ / "study.toml", overrides);
    }
    [[nodiscard]] fs::path path() const { return fs::canonical(folder_.path()); }

  private:
    test::TemporaryFolder folder_;
};

/// A configuration without images and weights.
study::Settings bare(std::vector<std::string> overrides) {
    return ConfigFolder("", "").load(std::move(overrides));
}

const std::string no_accuracy = R"(search.objectives=["latency.mean", "flops"])";

std::vector<std::string> names_of(study::Settings& settings) {
    std::vector<std::string> names;
    for (const core::Section& section : study::configuration_of(settings))
        for (const core::Setting& setting : section.settings)
            names.push_back(core::name_of(section, setting));
    return names;
}

/// Gives a setting another value that it may have.
struct Change {
    void operator()(const core::IntegerField& field) const {
        *field.value += *field.value < field.range.maximum ? 1 : -1;
    }
    void operator()(const core::RealField& field) const {
        *field.value = *field.value < field.range.maximum
                           ? (*field.value + field.range.maximum) / 2.0
                           : (*field.value + field.range.minimum) / 2.0;
    }
    void operator()(const core::BooleanField& field) const { *field.value = !*field.value; }
    void operator()(const core::TextField& field) const {
        if (field.choices.empty()) *field.value += " \"\\\n";
        for (const std::string& choice : field.choices)
            if (choice != *field.value) {
                *field.value = choice;
                return;
            }
    }
    void operator()(const core::PathField& field) const { *field.value += "/a b"; }
    void operator()(const core::TextListField& field) const { field.value->push_back("d, \"e"); }
    void operator()(const core::RealListField& field) const {
        field.value->push_back(field.range.contains(0.1) ? 0.1 : field.range.maximum);
    }
    void operator()(const core::ChoiceField& field) const {
        field.set((field.get() + 1) % field.names.size());
    }
};

/// The names in lines "name = value".
std::set<std::string> names_in(const std::string& lines) {
    std::set<std::string> names;
    std::istringstream stream(lines);
    for (std::string line; std::getline(stream, line);)
        names.insert(line.substr(0, line.find(' ')));
    return names;
}

} // namespace

TEST_CASE("a configuration that is missing or a folder is a ConfigError that names it") {
    CHECK_THROWS_WITH(study::load_settings_file("/no/such.toml", {}), Contains("/no/such.toml"));
    CHECK_THROWS_AS(study::load_settings_file("/tmp", {}), core::ConfigError);
}

TEST_CASE("settings that contradict each other are refused with both values") {
    CHECK_THROWS_WITH(ConfigFolder("").load({"data.held_out=100"}),
                      Contains("data.evaluation_images = 2000 is more than data.held_out = 100"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"search.objectives=[]"}), Contains("is empty"));
    CHECK_THROWS_WITH(ConfigFolder("").load(
                          {"accuracy.command=\"eval {network}\"", "search.give_up_confidence=0.9"}),
                      Contains("search.give_up_confidence") && Contains("accuracy.command"));
    CHECK_THROWS_WITH(
        ConfigFolder("").load({"accuracy.command=\"eval {network}\"", "search.precision=bfloat16"}),
        Contains("search.precision") && Contains("accuracy.command"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"search.precision=float16"}),
                      Contains("search.precision") && Contains("float16") && Contains("float32") &&
                          Contains("bfloat16"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"search.objectives=[\"latency\"]"}),
                      Contains("latency"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"search.constraints=[\"flops < 1\"]"}),
                      Contains("flops < 1"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"search.algorithm=ncs"}),
                      Contains("search: ncs minimises one objective") &&
                          Contains("(latency.mean, accuracy_drop)"));
    CHECK_NOTHROW(
        ConfigFolder("").load({"search.algorithm=ncs", "search.objectives=[\"latency.mean\"]"}));
    CHECK_THROWS_WITH(ConfigFolder("").load({"study.name=a/b"}), Contains("study.name"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"fleet.source=recorded"}),
                      Contains("fleet.recorded.file"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"report.formats=[\"pb\"]"}), Contains("'pb'"));
}

TEST_CASE("what measures accuracies must have what it needs, and be there where it is needed") {
    CHECK_THROWS_WITH(bare({}), Contains("data.file is missing"));
    CHECK_THROWS_WITH(bare({no_accuracy, R"(search.constraints=["accuracy_drop <= 0.1"])"}),
                      Contains("data.file is missing") && Contains("search.constraints"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"accuracy.evaluator=none"}),
                      Contains("accuracy.evaluator = \"none\"") && Contains("search.objectives"));
    CHECK_THROWS_WITH(bare({no_accuracy, "accuracy.evaluator=engine"}), Contains("data.file"));
    CHECK_THROWS_WITH(bare({no_accuracy, "accuracy.evaluator=command"}),
                      Contains("accuracy.command"));
    CHECK_THROWS_WITH(bare({"data.file=images.h5"}), Contains("network.weights is missing"));
    CHECK_THROWS_WITH(bare({"accuracy.command=\"eval {network}\""}),
                      Contains("network.weights is missing"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"accuracy.command=\"eval it\""}),
                      Contains("study.toml: ") && Contains("{network}"));
    CHECK_THROWS_WITH(bare({no_accuracy, "search.give_up_confidence=0.9"}),
                      Contains("search.give_up_confidence"));
    CHECK_THROWS_WITH(bare({no_accuracy, "network.criterion=taylor"}), Contains("taylor"));
}

TEST_CASE("rounds must have a reachable kind of end, accuracies, and a bound on them") {
    const auto rounds = [](std::vector<std::string> more) {
        more.insert(more.begin(), "study.rounds=3");
        return ConfigFolder("").load(more);
    };
    const std::string bound = R"(search.constraints=["accuracy_drop <= 0.1"])";
    CHECK(rounds({bound}).rounds == 3);
    CHECK(rounds({bound, "study.target=flops <= 0.25x"}).target == "flops <= 0.25x");
    CHECK_THROWS_WITH(rounds({}), Contains("study.rounds = 3") && Contains("accuracy_drop <= 0.1"));
    CHECK_THROWS_WITH(rounds({bound, "study.target=flops < 0.25x"}),
                      Contains("study.target") && Contains("flops < 0.25x"));
    CHECK_THROWS_WITH(rounds({bound, "study.target=accuracy_drop <= 0.1"}),
                      Contains("rounds do not raise accuracies"));
    CHECK_THROWS_WITH(rounds({no_accuracy, "accuracy.evaluator=none"}),
                      Contains("study.rounds = 3 needs accuracies"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"study.target=flops <= 0.25x"}),
                      Contains("study.rounds = 1"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"profile.every_round=true"}),
                      Contains("several rounds"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"study.rounds=0"}), Contains("study.rounds"));
}

TEST_CASE("a study without accuracies needs neither images nor weights") {
    const auto settings = bare({no_accuracy});
    CHECK(settings.accuracy.evaluator == "none");
    CHECK_FALSE(study::needs_accuracy(settings));
}

TEST_CASE("auto is the command where there is one, else the engine where there is data") {
    const ConfigFolder folder("");
    CHECK(folder.load().accuracy.evaluator == "engine");
    CHECK(study::needs_accuracy(folder.load()));
    CHECK(folder.load({"accuracy.command=\"eval {network}\""}).accuracy.evaluator == "command");
    CHECK(folder.load({"accuracy.command=\"eval {network}\"", "accuracy.evaluator=engine"})
              .accuracy.evaluator == "engine");
    CHECK(folder.load({"accuracy.evaluator=none", no_accuracy}).accuracy.evaluator == "none");
}

TEST_CASE("overrides win over the file, the file over the preset, whichever of them names that") {
    const ConfigFolder folder("[profile]\ncandidates = 300\n");
    const auto settings = folder.load({"preset=paper", "profile.runs=7"});
    CHECK(settings.preset == "paper");
    CHECK(settings.profile.candidates == 300);
    CHECK(settings.profile.runs == 7);
    CHECK(settings.surrogate.gbrt.trees == 100);
    CHECK(settings.search.parameters.population == 10);
    CHECK(settings.network.weights == (folder.path() / "w/weights.h5").string());
    const ConfigFolder paper("", "preset = \"paper\"\n" + images_and_weights);
    CHECK(paper.load().search.parameters.population == 10);
    CHECK(paper.load({"preset="}).search.parameters.population == 32);
    CHECK(paper.load({"preset="}).network.weights == (paper.path() / "w/weights.h5").string());
}

TEST_CASE("a preset is named above all sections") {
    CHECK_THROWS_WITH(ConfigFolder("preset = \"paper\"\n").load(),
                      Contains("study.toml:5: unknown key 'network.preset' (did you mean 'preset' "
                               "above all sections or 'fleet.synthetic.preset'?)"));
}

TEST_CASE("paths in a file are relative to its folder, those of overrides to the current one") {
    const ConfigFolder folder("");
    CHECK(folder.load().network.weights == (folder.path() / "w/weights.h5").string());
    CHECK(folder.load({"network.weights=x.h5"}).network.weights ==
          (fs::canonical(fs::current_path()) / "x.h5").string());
}

TEST_CASE("every default is in its own range, and the printed settings read back") {
    const ConfigFolder defaults("");
    const auto settings = defaults.load();
    const std::string text = study::settings_text(settings);
    const ConfigFolder copy("");
    std::ofstream(copy.path() / "study.toml") << text;
    CHECK(study::settings_text(copy.load()) == text);
}

TEST_CASE("one seed reaches every part that draws random numbers") {
    const auto settings = ConfigFolder("").load({"study.seed=7"});
    CHECK(settings.fleet.seed == 7);
    CHECK(settings.clusters.seed == 7);
    CHECK(settings.surrogate.gbrt.seed == 7);
    CHECK(settings.search.parameters.seed == 7);
    CHECK(settings.finetune.training.seed == 7);
}

TEST_CASE("no two settings have one name") {
    study::Settings settings;
    std::vector<std::string> names = names_of(settings);
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("every setting holds another value through printing and loading, and it alone changes") {
    study::Settings counted;
    const std::vector<std::string> names = names_of(counted);
    for (const std::string& name : names) {
        INFO(name);
        study::Settings changed;
        for (core::Section& section : study::configuration_of(changed))
            for (core::Setting& setting : section.settings)
                if (core::name_of(section, setting) == name) std::visit(Change{}, setting.field);
        study::Settings copy;
        core::load_settings(study::configuration_of(copy), study::settings_text(changed), "a", {});
        CHECK(study::settings_lines(copy) == study::settings_lines(changed));

        std::istringstream before(study::settings_lines(study::Settings()));
        std::istringstream after(study::settings_lines(copy));
        std::vector<std::string> different;
        for (std::string old, now; std::getline(before, old) && std::getline(after, now);)
            if (old != now) different.push_back(now.substr(0, now.find(' ')));
        CHECK(different == std::vector<std::string>{name});
    }
}

TEST_CASE("the paths are these") {
    for (const char* name : {"fleet.recorded.file", "network.file", "network.weights", "data.file"})
        CHECK(study::is_path_setting(name));
    for (const char* name : {"study.name", "accuracy.command", "fleet.recorded.sku", "fleet", ""})
        CHECK_FALSE(study::is_path_setting(name));
}

TEST_CASE("what shapes no output: how the job runs, its name, and where input files lie") {
    study::Settings settings;
    std::vector<std::string> all = names_of(settings);
    std::set<std::string> nothing(all.begin(), all.end());
    for (const std::string& name :
         names_in(study::settings_lines(settings, core::Outputs::everything)))
        nothing.erase(name);
    // They shape the profiles that have what they are about, by input_sha256, and no others.
    CHECK(nothing.erase("latency.sustained_seconds") == 1);
    CHECK(nothing.erase("latency.sustained_command") == 1);
    CHECK(nothing == std::set<std::string>{
                         "preset", "study.name", "network.weights", "data.file", "clusters.keep",
                         "fleet.file", "fleet.synthetic.mixture", "accuracy.timeout_seconds",
                         "accuracy.retries", "latency.timeout_seconds", "latency.retries",
                         "latency.devices_at_once", "latency.networks_at_once", "latency.enough",
                         "latency.folder", "search.max_failures", "run.checkpoint_seconds"});
}

TEST_CASE("each output is shaped by the settings that its file is identified by") {
    using Names = std::set<std::string>;
    study::Settings settings;
    const auto names = [&](core::Outputs outputs) {
        return names_in(study::settings_lines(settings, outputs));
    };
    const auto below = [&](const Names& prefixes) {
        Names found;
        for (const std::string& name : names_of(settings))
            for (const std::string& prefix : prefixes)
                if (name.starts_with(prefix)) found.insert(name);
        return found;
    };
    const Names network{"network.name",     "network.width",        "network.file",
                        "network.min_keep", "network.min_channels", "network.channel_divisor",
                        "network.pinned"};
    const Names accuracy{"network.criterion",
                         "data.held_out",
                         "data.evaluation_images",
                         "data.recalibration_images",
                         "data.batch",
                         "accuracy.evaluator",
                         "accuracy.command",
                         "accuracy.format",
                         "network.insert_batch_norms",
                         "data.mean",
                         "data.std",
                         "data.scale",
                         "data.channels"};
    const auto both = [](Names a, const Names& b) {
        a.insert(b.begin(), b.end());
        return a;
    };
    Names fleet = both(below({"study.seed", "fleet."}), network);
    fleet.erase("fleet.file");              // its content counts, not where it lies
    fleet.erase("fleet.synthetic.mixture"); // the values that it sets count
    CHECK(names(core::Outputs::fleet) == fleet);
    Names clusters = below({"study.seed", "clusters."});
    clusters.erase("clusters.keep"); // its content counts
    CHECK(names(core::Outputs::clusters) == clusters);
    CHECK(names(core::Outputs::profile) ==
          both(below({"study.seed", "profile."}), {"latency.command", "latency.format"}));
    CHECK(names(core::Outputs::surrogates) == below({"study.seed", "surrogate."}));
    CHECK(names(core::Outputs::search_length) == Names{"search.generations"});
    Names search = both(below({"study.seed", "search."}), accuracy);
    search.erase("search.generations");
    search.erase("search.max_failures"); // it ends a search, or does not
    CHECK(names(core::Outputs::search) == search);
    CHECK(names(core::Outputs::accuracies) == both(both(network, accuracy), {"search.precision"}));
    CHECK(names(core::Outputs::networks) ==
          below({"study.seed", "study.rounds", "study.target", "finetune."}));
    CHECK(names(core::Outputs::results) == below({"report."}));
}

TEST_CASE("settings that shape nothing never differ, the others do, with both values") {
    const ConfigFolder folder("");
    const auto differences = [&](const std::vector<std::string>& overrides,
                                 core::Outputs outputs = core::Outputs::everything) {
        return study::setting_differences(folder.load(overrides), folder.load(), outputs);
    };
    CHECK(differences({"accuracy.timeout_seconds=5", "accuracy.retries=3", "study.name=other",
                       "run.checkpoint_seconds=1", "data.file=elsewhere.h5",
                       "network.weights=elsewhere.h5", "accuracy.evaluator=engine"})
              .empty());
    CHECK(differences({"network.file=mine.onnx"}) ==
          std::vector<std::string>{"network.file = a file there, \"\" here"});
    CHECK(differences({"search.generations=40"}).size() == 1);
    CHECK(differences({"search.generations=40"},
                      core::without(core::Outputs::everything, core::Outputs::search_length))
              .empty());
}
