#include "hdap/storage/owner_file.hpp"

#include "hdap/core/command.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <unistd.h>
#include <utility>

namespace hdap::storage {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string this_machine() {
    std::string boot = text_of("/proc/sys/kernel/random/boot_id");
    while (!boot.empty() && boot.back() == '\n')
        boot.pop_back();
    std::error_code missing;
    return boot + " " + fs::read_symlink("/proc/self/ns/pid", missing).string();
}

/// "BOOT pid:[…]" → "BOOT"
std::string boot_of(const std::string& machine) {
    return machine.substr(0, machine.find(' '));
}

/// When a process began, in clock ticks since the machine was started; empty when there is none, or
/// only what is left of it for its parent. The name in front, in brackets, may hold anything; the
/// state follows it, and the start is the 20th field behind it.
std::string start_of(pid_t process) {
    const std::string text = text_of(fmt::format("/proc/{}/stat", process));
    std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
    std::string state;
    fields >> state;
    if (state == "Z" || state == "X") return "";
    std::string start;
    for (int i = 1; i < 20; ++i)
        fields >> start;
    return start;
}

std::string file_text(const Owner& owner) {
    return fmt::format("host={}\nmachine={}\nprocess={}\nprocess_start={}\njob={}\nrestart={}\n"
                       "since={}\n",
                       owner.host, owner.machine, owner.process, owner.process_start, owner.job,
                       owner.restart, owner.since);
}

/// Nothing when it is not whole: its owner may just be writing it.
std::optional<Owner> parse(const std::string& text) {
    std::map<std::string, std::string> values;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (const auto equals = line.find('='); equals != std::string::npos)
            values[line.substr(0, equals)] = line.substr(equals + 1);
    const pid_t process = std::atoi(values["process"].c_str());
    if (process <= 0 || values["since"].empty()) return std::nullopt;
    return Owner{.host = values["host"],
                 .machine = values["machine"],
                 .process = process,
                 .process_start = values["process_start"],
                 .job = values["job"],
                 .restart = values["restart"],
                 .since = values["since"]};
}

/// Whether Slurm says that no process of a job runs; false when it says nothing. A job that waits
/// has been put back into the queue.
bool job_has_ended(const std::string& job) {
    if (job.find_first_not_of("0123456789") != std::string::npos) return false;
    constexpr double patience_seconds = 30.0;
    const auto answer = core::run_job_command(
        {"squeue", "--noheader", "--jobs=" + job, "--format=%T"}, patience_seconds);
    if (answer.end != core::CommandOutcome::End::exited) return false;
    // Slurm forgets a job some minutes after its end.
    if (answer.exit_code != 0) return answer.errors.find("Invalid job id") != std::string::npos;
    return answer.output.empty() || answer.output.starts_with("PENDING");
}

[[noreturn]] void fail_to_make(const fs::path& path, int why) {
    const std::string message =
        fmt::format("cannot make {}: {}", path.string(), std::strerror(why));
    // A full disk is not the user's data's fault.
    if (why == ENOSPC || why == EDQUOT) throw core::InternalError(message);
    throw core::DataError(message);
}

/// False when the file is there already.
bool make(const fs::path& path) {
    core::Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.is_open() && errno == EEXIST) return false;
    if (!file.is_open()) fail_to_make(path, errno);
    const std::string text = file_text(Owner::current());
    const bool written =
        ::write(file.number(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int why = errno;
    if (written && file.close()) return true;
    ::unlink(path.c_str());
    fail_to_make(path, written ? errno : why);
}

/// Whether the owner in a file's text may still run.
bool may_run(const std::string& text, bool ask_slurm) {
    const auto owner = parse(text);
    return !owner || !has_ended(*owner, ask_slurm);
}

/// Removes the file of an owner that has ended, unless it is another one's meanwhile.
void remove_ended(const fs::path& path, const std::string& text) {
    const fs::path aside =
        fmt::format("{}.{}-{}", path.string(), core::current_provenance().host, ::getpid());
    if (::rename(path.c_str(), aside.c_str()) != 0) return;
    if (text_of(aside) != text) (void)::link(aside.c_str(), path.c_str());
    ::unlink(aside.c_str());
}

} // namespace

Owner Owner::current() {
    return {.host = core::current_provenance().host,
            .machine = this_machine(),
            .process = ::getpid(),
            .process_start = start_of(::getpid()),
            .job = environment("SLURM_JOB_ID"),
            .restart = environment("SLURM_RESTART_COUNT"),
            .since = core::utc_now()};
}

std::string Owner::text() const {
    return fmt::format("host {}, process {}{}, since {}", host, process,
                       job.empty() ? "" : ", Slurm job " + job, since);
}

bool has_ended(const Owner& owner, bool ask_slurm) {
    const Owner here = Owner::current();
    if (owner.machine == here.machine) return start_of(owner.process) != owner.process_start;
    if (owner.host == here.host && boot_of(owner.machine) != boot_of(here.machine)) return true;
    if (owner.job.empty()) return false;
    if (owner.job == here.job) return owner.restart != here.restart;
    return ask_slurm && job_has_ended(owner.job);
}

std::optional<OwnerFile> OwnerFile::try_make(const fs::path& path, bool ask_slurm) {
    while (!make(path)) {
        const std::string text = text_of(path);
        if (text.empty() && !fs::exists(path)) continue; // its owner has just ended
        if (may_run(text, ask_slurm)) return std::nullopt;
        remove_ended(path, text);
    }
    return OwnerFile(path);
}

bool OwnerFile::is_held(const fs::path& path) {
    return fs::exists(path) && may_run(text_of(path), true);
}

std::string OwnerFile::owner_text(const fs::path& path) {
    if (!fs::exists(path)) return "";
    const auto owner = parse(text_of(path));
    return owner ? owner->text() : "unknown";
}

OwnerFile::~OwnerFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

OwnerFile::OwnerFile(OwnerFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}

OwnerFile& OwnerFile::operator=(OwnerFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

} // namespace hdap::storage
