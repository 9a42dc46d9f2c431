#include "end_to_end/interruption.hpp"

#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <stdexcept>

namespace hdap::test {

namespace fs = std::filesystem;

namespace {

/// When a file was written; a time long ago when there is none.
fs::file_time_type written(const fs::path& file) {
    std::error_code missing;
    const auto time = fs::last_write_time(file, missing);
    return missing ? fs::file_time_type::min() : time;
}

} // namespace

Outcome interrupted_run(const TinyStudy& study, const Launch& launch,
                        const std::string& run_directory, const Arguments& more,
                        const std::function<void(Process&)>& interrupt) {
    constexpr int attempts = 5;
    const fs::path run = study / run_directory;
    const TemporaryFolder before;
    if (fs::exists(run)) fs::copy(run, before.path(), fs::copy_options::recursive);
    for (int i = 0; i < attempts; ++i) {
        const auto start = written(run / "search.h5");
        Process job = study.start_run(launch, run_directory, more);
        if (!job.wait_until([&] { return written(run / "search.h5") != start; }))
            throw std::runtime_error("no checkpoint: " + job.wait().errors);
        interrupt(job);
        Outcome outcome = job.wait();
        if (outcome.exit_code != 0) return outcome;
        fs::remove_all(run);
        if (!fs::is_empty(before.path())) fs::copy(before.path(), run, fs::copy_options::recursive);
    }
    throw std::runtime_error("the job was always complete before it could be interrupted");
}

bool is_complete_search(const fs::path& search_file) {
    const auto file =
        storage::Hdf5Reader::from_bytes(storage::read_sealed(search_file), search_file.string());
    return file.attribute_int("/", "complete") != 0;
}

} // namespace hdap::test
