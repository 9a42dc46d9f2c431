#include "hdap/ablation/status.hpp"

#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/attempts.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap;
using ablation::CellState;
using Catch::Contains;

namespace {

/// A folder with one cell whose history is made up.
class OneCell {
  public:
    OneCell() { std::filesystem::create_directories(folder().attempts(cell)); }

    [[nodiscard]] ablation::Folder folder() const { return {temporary_.path()}; }

    void start() const { study::append_attempt_start(folder().attempts(cell), {}); }
    void end(int exit_code, const std::string& message = "") const {
        study::Attempt attempt;
        attempt.exit_code = exit_code;
        attempt.message = message;
        study::append_attempt_end(folder().attempts(cell), attempt);
    }
    void write_results() const {
        std::filesystem::create_directories(folder().run_directory(cell));
        storage::Hdf5Writer file;
        storage::write_sealed(folder().run_directory(cell) / "results.h5", file.finish());
    }
    [[nodiscard]] ablation::CellStatus status(const std::set<std::string>& queued = {}) const {
        return ablation::status_of(folder(), cell, queued);
    }

    const ablation::Cell cell{.id = "0123456789ab", .labels = {}, .overrides = {}};

  private:
    test::TemporaryFolder temporary_;
};

} // namespace

TEST_CASE("a cell that nobody started is missing, or queued") {
    const OneCell one;
    CHECK(one.status().state == CellState::missing);
    CHECK(one.status({one.cell.id}).state == CellState::queued);
    CHECK(name_of(CellState::missing) == "missing");
}

TEST_CASE("a cell is complete when its results are there, undamaged") {
    const OneCell one;
    one.start();
    one.end(0);
    CHECK(one.status().state == CellState::stopped);
    CHECK_THAT(one.status().reason, Contains("results.h5 is missing or damaged"));
    one.write_results();
    CHECK(one.status({one.cell.id}).state == CellState::complete);
    std::ofstream(one.folder().run_directory(one.cell) / "results.h5", std::ios::app) << "more";
    CHECK(one.status().state == CellState::stopped);
}

TEST_CASE("a cell is running for as long as a job has its claim") {
    const OneCell one;
    one.start();
    const auto claim = ablation::CellClaim::take(one.folder(), one.cell);
    CHECK(one.status().state == CellState::running);
}

TEST_CASE("a cell has stopped when its last job was stopped or killed") {
    const OneCell one;
    one.start();
    CHECK(one.status().state == CellState::stopped);
    CHECK(one.status().reason == "was killed");
    one.end(75);
    CHECK(one.status().state == CellState::stopped);
    CHECK_THAT(one.status().reason, Contains("goes on"));
    CHECK(one.status().failures == 0);
}

TEST_CASE(
    "a cell has failed when its last job has, and failures are counted until they are forgotten") {
    const OneCell one;
    for (const int exit_code : {75, 3, 1}) {
        one.start();
        one.end(exit_code, "no weights");
    }
    const auto status = one.status();
    CHECK(status.state == CellState::failed);
    CHECK(status.failures == 2);
    CHECK(status.exit_code == 1);
    CHECK(status.reason == "failed 2 times, exit code 1: no weights");
    ablation::forget_failures(one.folder(), one.cell);
    CHECK(one.status().state == CellState::missing);
    CHECK(one.status().failures == 0);
}

TEST_CASE("a cell that waits for measurements has not failed, and its next job is not in vain") {
    const OneCell one;
    for (int i = 0; i < 5; ++i) {
        one.start();
        one.end(76, "waiting for measurements: 3 of 4");
    }
    const auto status = one.status();
    CHECK(status.state == CellState::waiting);
    CHECK(name_of(status.state) == "waiting");
    CHECK(status.failures == 0);
    CHECK(status.reason == "waiting for measurements: 3 of 4");
    CHECK_FALSE(ablation::is_settled(status, 0));
    one.start();
    one.end(3, "no weights");
    CHECK(one.status().state == CellState::failed);
    CHECK(one.status().failures == 1);
}

TEST_CASE("a study that was started by hand counts by its own record") {
    const OneCell one;
    const auto run = one.folder().run_directory(one.cell);
    std::filesystem::create_directories(run);
    CHECK(one.status().state == CellState::stopped);
    study::append_attempt_start(run, {});
    study::Attempt attempt;
    attempt.exit_code = 4;
    attempt.message = "infeasible";
    study::append_attempt_end(run, attempt);
    CHECK(one.status().state == CellState::failed);
    CHECK(one.status().failures == 0);
}

TEST_CASE("another try is in vain after too many, and after what stays as it is") {
    const auto settled = [](int failures, int exit_code) {
        return ablation::is_settled({.failures = failures, .exit_code = exit_code}, 2);
    };
    CHECK_FALSE(settled(0, 0));
    CHECK_FALSE(settled(0, 2)); // of a study that was begun by hand
    for (const int exit_code : {1, 3, 137}) {
        CHECK_FALSE(settled(2, exit_code));
        CHECK(settled(3, exit_code));
    }
    for (const int exit_code : {2, 4})
        CHECK(settled(1, exit_code));
    CHECK_FALSE(settled(2, 0)); // the last one was killed
}
