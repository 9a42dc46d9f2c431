#include "hdap/study/attempts.hpp"

#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/search/search_run.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/study.hpp"
#include "hdap/study/training_run.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* file_name = "attempts.jsonl";

/// Whether the file ends in the middle of a line, as a full disk may leave it.
bool ends_within_a_line(int file) {
    const off_t size = ::lseek(file, 0, SEEK_END);
    char last = '\n';
    return size > 0 && ::pread(file, &last, 1, size - 1) == 1 && last != '\n';
}

/// Appends one line in one write.
void append(const fs::path& run_directory, const json& object) {
    const fs::path path = run_directory / file_name;
    const auto fail = [&] {
        throw core::InternalError(
            fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
    };
    const core::Descriptor file(
        ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (file.number() < 0) fail();
    const std::string line = (ends_within_a_line(file.number()) ? "\n" : "") +
                             object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    if (::write(file.number(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fsync(file.number()) != 0)
        fail();
}

/// The lines of the file; those that are no JSON objects are left out.
std::vector<json> read_lines(const fs::path& path) {
    std::vector<json> lines;
    if (!fs::exists(path)) return lines;
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw core::DataError("cannot read " + path.string());
    for (std::string line; std::getline(stream, line);) {
        json object = json::parse(line, nullptr, false);
        if (object.is_object()) lines.push_back(std::move(object));
    }
    return lines;
}

/// The member `key`, or `otherwise` when it is missing or of another type.
template <class T>
T member(const json& object, const char* key, T otherwise) {
    const auto found = object.find(key);
    if (found == object.end()) return otherwise;
    if constexpr (std::is_same_v<T, std::string>)
        return found->is_string() ? found->get<T>() : otherwise;
    else
        return found->is_number_integer() ? found->get<T>() : otherwise;
}

Attempt started_attempt(const json& line) {
    Attempt attempt;
    attempt.started = member<std::string>(line, "time", "");
    attempt.job = member<std::string>(line, "job", "");
    attempt.host = member<std::string>(line, "host", "");
    attempt.ranks = member(line, "ranks", 0);
    attempt.threads = member(line, "threads", 0);
    attempt.progress_start = member<std::int64_t>(line, "progress", 0);
    attempt.progress_end = attempt.progress_start;
    return attempt;
}

/// Candidates evaluated so far in a search, those of an unfinished generation too.
std::int64_t evaluations_of(const fs::path& file) {
    try {
        const auto reader = open_stage(file, search::search_schema);
        return static_cast<std::int64_t>(reader.shape("/log/generation").at(0) +
                                         reader.shape("/pending/accuracy").at(0));
    } catch (const core::Error&) {
        return 0;
    }
}

/// Steps done of a training that has a checkpoint.
std::int64_t steps_of(const fs::path& file) {
    try {
        return open_stage(file, training_schema).attribute_int("/", "step");
    } catch (const core::Error&) {
        return 0;
    }
}

/// Candidates that devices have measured so far.
std::int64_t measurements_in(const fs::path& folder) {
    std::ifstream stream(folder / "measurements.jsonl", std::ios::binary);
    return std::count(std::istreambuf_iterator<char>(stream), {}, '\n');
}

/// Of a run directory, or the folder of a round.
std::int64_t progress_in(const fs::path& folder) {
    std::int64_t progress = 0;
    for (const char* stage :
         {"fleet.h5", "clusters.h5", "profile.h5", "surrogates.h5", "results.h5"})
        progress += fs::exists(folder / stage) ? 1 : 0;
    progress += evaluations_of(folder / "search.h5");
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder / "networks", error)) {
        if (entry.path().extension() != ".h5") continue;
        const bool in_training = entry.path().stem().extension() == ".training";
        progress += in_training ? steps_of(entry.path()) : 1;
    }
    return progress;
}

} // namespace

std::vector<Attempt> read_attempts(const fs::path& run_directory) {
    std::vector<Attempt> attempts;
    for (const json& line : read_lines(run_directory / file_name)) {
        const auto event = member<std::string>(line, "event", "");
        if (event == "start") {
            attempts.push_back(started_attempt(line));
        } else if (event == "end" && !attempts.empty() && !attempts.back().exit_code) {
            Attempt& attempt = attempts.back();
            attempt.ended = member<std::string>(line, "time", "");
            attempt.exit_code = member(line, "exit_code", 1);
            attempt.progress_end = member(line, "progress", attempt.progress_start);
            attempt.message = member<std::string>(line, "message", "");
        }
    }
    return attempts;
}

void append_attempt_start(const fs::path& run_directory, const Attempt& attempt) {
    append(run_directory, {{"event", "start"},
                           {"time", attempt.started},
                           {"job", attempt.job},
                           {"host", attempt.host},
                           {"ranks", attempt.ranks},
                           {"threads", attempt.threads},
                           {"progress", attempt.progress_start}});
}

void append_attempt_end(const fs::path& run_directory, const Attempt& attempt) {
    append(run_directory, {{"event", "end"},
                           {"time", attempt.ended},
                           {"exit_code", attempt.exit_code.value_or(1)},
                           {"progress", attempt.progress_end},
                           {"message", attempt.message}});
}

std::optional<std::string> lack_of_progress(const std::vector<Attempt>& attempts,
                                            std::int64_t progress, std::int64_t most) {
    const auto count = static_cast<std::size_t>(most);
    if (attempts.size() < count) return std::nullopt;
    constexpr int waiting = static_cast<int>(core::ExitCode::waiting);
    const auto in_vain = [&](const Attempt& attempt) {
        return attempt.progress_start == progress && attempt.exit_code != 0 &&
               attempt.exit_code != waiting;
    };
    if (!std::all_of(attempts.end() - most, attempts.end(), in_vain)) return std::nullopt;
    const Attempt& last = attempts.back();
    std::string how = "was killed";
    if (last.exit_code) how = fmt::format("ended with {}", *last.exit_code);
    if (!last.message.empty()) how += fmt::format(" ({})", last.message);
    return fmt::format("the last {} attempts brought no progress; the last one, of {} on {}, {}",
                       most, last.started, last.host, how);
}

std::int64_t progress_of(const fs::path& run_directory) {
    std::int64_t progress =
        progress_in(run_directory) + measurements_in(run_directory / measurements_folder);
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(run_directory, error))
        if (entry.path().filename().string().starts_with("round-"))
            progress += progress_in(entry.path());
    return progress;
}

} // namespace hdap::study
