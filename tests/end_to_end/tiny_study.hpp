#pragma once

#include "end_to_end/process.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace hdap::test {

using Arguments = std::vector<std::string>;

/// How hdap is started.
struct Launch {
    int ranks = 2;   ///< with mpirun; 0: alone, without it
    int threads = 1; ///< a rank
    Process::Environment environment{};
};

/// A study that is over in a second: 60 devices, a narrow MobileNetV1 on 16 × 16 images of three
/// classes, five generations of eight candidates, one of which is fine-tuned. Its inputs are
/// made in a folder of its own, which all run directories lie in, too.
class TinyStudy {
  public:
    /// What the network's weights are: trained to 95 % accuracy, which takes a second, or what
    /// training begins with, for tests that end before anything is evaluated.
    enum class Weights { trained, initial };
    explicit TinyStudy(Weights weights = Weights::trained);

    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_.path(); }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
        return folder_ / name;
    }
    /// The configuration file.
    [[nodiscard]] std::filesystem::path config() const { return folder_ / "tiny.toml"; }

    /// Starts `hdap ARGUMENTS`.
    [[nodiscard]] Process start(const Launch& launch, const Arguments& arguments) const;

    /// Starts `hdap run tiny.toml --out RUN_DIRECTORY MORE`.
    [[nodiscard]] Process start_run(const Launch& launch, const std::string& run_directory,
                                    const Arguments& more = {}) const;

    /// The same two, to their end.
    [[nodiscard]] Outcome call(const Launch& launch, const Arguments& arguments) const;
    [[nodiscard]] Outcome run(const Launch& launch, const std::string& run_directory,
                              const Arguments& more = {}) const;

  private:
    TemporaryFolder folder_;
};

/// The program under test.
std::filesystem::path hdap_program();

/// Telemetry of devices unit-0, unit-1, … on two benchmarks, as hdap fleet import reads it; every
/// third one, the first among them, takes `slow` times as long as the others.
std::string telemetry_csv(int devices, double slow);

} // namespace hdap::test
