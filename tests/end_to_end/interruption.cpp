#include "end_to_end/interruption.hpp"

#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <stdexcept>

namespace hdap::test {

namespace fs = std::filesystem;

Outcome interrupted_run(const TinyStudy& study, const Launch& launch,
                        const std::string& run_directory, const Arguments& more,
                        const std::function<void(Process&)>& interrupt) {
    constexpr int attempts = 5;
    for (int i = 0; i < attempts; ++i) {
        fs::remove_all(study / run_directory);
        Process job = study.start_run(launch, run_directory, more);
        if (!job.wait_until([&] { return fs::exists(study / run_directory / "search.h5"); }))
            throw std::runtime_error("no checkpoint: " + job.wait().errors);
        interrupt(job);
        Outcome outcome = job.wait();
        if (outcome.exit_code != 0) return outcome;
    }
    throw std::runtime_error("the job was always complete before it could be interrupted");
}

bool is_complete_search(const fs::path& search_file) {
    const auto file =
        storage::Hdf5Reader::from_bytes(storage::read_sealed(search_file), search_file.string());
    return file.attribute_int("/", "complete") != 0;
}

} // namespace hdap::test
