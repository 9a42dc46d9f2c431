#include "hdap/study/run_directory.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>

using namespace hdap;
using Catch::Contains;

namespace {

/// A study without accuracies, and what its run directory says when the study is started in it.
class Study {
  public:
    [[nodiscard]] study::Settings settings(const std::string& text) const {
        std::ofstream(folder_ / "study.toml") << text;
        return study::load_settings_file(
            folder_ / "study.toml",
            {R"(search.objectives=["latency.mean"])", "search.constraints=[]", "study.rounds=1"});
    }
    void start(const std::string& text) {
        const study::RunDirectory directory(folder_ / "run", settings(text), log_);
    }
    /// The message of the ConfigError that starting must throw.
    std::string refusal(const std::string& text) {
        try {
            start(text);
        } catch (const core::ConfigError& error) {
            return error.what();
        }
        return "no error";
    }
    [[nodiscard]] std::string config() const {
        std::ifstream stream(folder_ / "run/config.toml");
        return {std::istreambuf_iterator<char>(stream), {}};
    }

  private:
    test::TemporaryFolder folder_;
    core::Log log_{{.quiet = true}};
};

} // namespace

TEST_CASE("a run directory says what the preset of its study set, and belongs to it") {
    Study study;
    study.start("preset = \"paper\"\n");
    CHECK_THAT(study.config(), Contains("\npreset = \"paper\"\n") && Contains("# paper: "));
    const std::string before = study.config();
    study.start("preset = \"paper\"\n");
    CHECK(study.config() == before);
}

TEST_CASE("a changed preset under a started study is refused with what it changes") {
    Study study;
    study.start("[profile]\ncandidates = 50\n");
    const std::string before = study.config();
    CHECK_THAT(study.refusal("preset = \"paper\"\n[profile]\ncandidates = 50\n"),
               Contains("belongs to another configuration: preset = \"\" there, \"paper\" here; "
                        "clusters.method = \"covering\" there, \"dbscan\" here; ") &&
                   Contains("search.population = 32 there, 10 here") &&
                   !Contains("profile.candidates"));
    CHECK(study.config() == before);
}

TEST_CASE("a preset is not blamed for what other settings change") {
    Study study;
    study.start("preset = \"paper\"\n");
    CHECK_THAT(study.refusal("preset = \"paper\"\nstudy.seed = 2\n"),
               Contains("another configuration: study.seed = 1 there, 2 here. Choose"));
}

TEST_CASE("another preset that changes no setting is no other study") {
    Study study;
    study.start("preset = \"paper\"\n");
    std::string text = study.config();
    const std::string preset = "\npreset = \"paper\"\n";
    text.replace(text.find(preset), preset.size(), "\npreset = \"\"\n");
    CHECK_NOTHROW(study.start(text));
}
