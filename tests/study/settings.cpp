#include "hdap/study/settings.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace hdap;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// A folder with one configuration.
class ConfigFolder {
  public:
    explicit ConfigFolder(const std::string& text) {
        std::ofstream(folder_ / "study.toml")
            << "[data]\nfile = \"images.h5\"\n[network]\nweights = \"w/weights.h5\"\n"
            << text;
    }
    [[nodiscard]] study::Settings load(const std::vector<std::string>& overrides = {}) const {
        return study::load_settings_file(folder_ / "study.toml", overrides);
    }
    [[nodiscard]] fs::path path() const { return fs::canonical(folder_.path()); }

  private:
    test::TemporaryFolder folder_;
};

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
    CHECK_THROWS_WITH(ConfigFolder("").load({"study.name=a/b"}), Contains("study.name"));
    CHECK_THROWS_WITH(ConfigFolder("").load({"fleet.source=file"}), Contains("fleet.file"));
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
    CHECK(settings.fleet.synthesis.seed == 7);
    CHECK(settings.surrogate.seed == 7);
    CHECK(settings.search.nsga2.seed == 7);
    CHECK(settings.finetune.training.seed == 7);
}
