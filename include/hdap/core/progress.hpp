#pragma once

#include "hdap/core/log.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace hdap::core {

/// How far a stage is: what one line tells a person.
struct ProgressState {
    std::string stage;      ///< "search"
    std::string position;   ///< "generation 3/12"; may be empty
    std::int64_t done = 0;  ///< units done in this process's stage, e.g. evaluations
    std::int64_t total = 0; ///< units in all; 0 when unknown
    std::string unit;       ///< "evaluations"
    std::string detail;     ///< "hypervolume 0.52"; may be empty
};

/// Turns counts into a line with rate and remaining time, at most ten times a second.
class Progress {
  public:
    /// `already_done`: units that a previous job did; they do not count for the rate.
    Progress(Log& log, std::int64_t already_done = 0);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(const ProgressState& state);

  private:
    Log& log_;
    std::int64_t already_done_;
    std::chrono::steady_clock::time_point start_;
    std::chrono::steady_clock::time_point last_{};
};

/// "search  generation 3/12  96/384 evaluations  5.2/s  hypervolume 0.52  ETA 55 s"
std::string progress_line(const ProgressState& state, std::int64_t already_done,
                          double elapsed_seconds);

} // namespace hdap::core
