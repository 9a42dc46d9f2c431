#include "end_to_end/process.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace hdap::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// How often something that cannot be waited for is looked at.
constexpr auto look_every = 1ms;

fs::path output_path(const std::string& kind) {
    static std::atomic<int> number{0};
    return fs::temp_directory_path() /
           ("hdap-test-" + std::to_string(::getpid()) + "-" + std::to_string(number++) + kind);
}

/// In the child, after fork.
[[noreturn]] void become(const std::vector<std::string>& command,
                         const Process::Environment& environment, const fs::path& output,
                         const fs::path& errors) {
    ::setsid();
    const auto redirect = [](const fs::path& file, int flags, int descriptor) {
        const int opened = ::open(file.c_str(), flags, 0600);
        if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(127);
    };
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(errors, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    for (const auto& [name, value] : environment)
        ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& argument : command)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
}

/// State and session of a process, from /proc/PID/stat; 'X' when it has gone.
struct ProcessState {
    char state = 'X';
    pid_t session = -1;
};

ProcessState state_of(const fs::path& folder) {
    const std::string text = text_of(folder / "stat");
    const auto name_end = text.rfind(')'); // the name may hold anything
    if (name_end == std::string::npos) return {};
    std::istringstream fields(text.substr(name_end + 1));
    ProcessState result;
    pid_t parent = 0;
    pid_t group = 0;
    fields >> result.state >> parent >> group >> result.session;
    return result;
}

/// The running processes of a session.
std::vector<pid_t> session_members(pid_t session) {
    std::vector<pid_t> members;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const ProcessState found = state_of(entry.path());
        if (found.session == session && found.state != 'Z' && found.state != 'X')
            members.push_back(static_cast<pid_t>(std::stol(name)));
    }
    std::sort(members.begin(), members.end());
    return members;
}

} // namespace

Process::Process(std::vector<std::string> command, const Environment& environment)
    : command_(std::move(command)), output_file_(output_path(".out")),
      errors_file_(output_path(".err")) {
    id_ = ::fork();
    if (id_ < 0) throw std::runtime_error("fork failed");
    if (id_ == 0) become(command_, environment, output_file_, errors_file_);
}

Process::~Process() {
    kill_all();
    ::waitpid(id_, nullptr, 0);
    std::error_code ignored;
    fs::remove(output_file_, ignored);
    fs::remove(errors_file_, ignored);
}

void Process::signal(int number) const {
    if (!ended_) ::kill(id_, number);
}

std::vector<pid_t> Process::running(const fs::path& program) const {
    std::vector<pid_t> result;
    for (const pid_t id : session_members(id_)) {
        std::error_code gone;
        const auto executable = fs::read_symlink("/proc/" + std::to_string(id) + "/exe", gone);
        if (!gone && executable == program) result.push_back(id);
    }
    return result;
}

void Process::kill_all() {
    // A member may start another one between our look and our kill, so look until none is left.
    for (auto members = session_members(id_); !members.empty(); members = session_members(id_)) {
        for (const pid_t id : members)
            ::kill(id, SIGKILL);
        std::this_thread::sleep_for(look_every);
    }
    while (!has_ended())
        std::this_thread::sleep_for(look_every);
}

std::string Process::errors() const {
    return text_of(errors_file_);
}

bool Process::wait_until(const std::function<bool()>& condition, std::chrono::seconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        // In this order: what a program did before it ended counts.
        const bool over = has_ended();
        if (condition()) return true;
        if (over) return false;
        if (std::chrono::steady_clock::now() > end) fail("still waiting for its condition");
        std::this_thread::sleep_for(look_every);
    }
}

Outcome Process::wait(std::chrono::seconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!has_ended()) {
        if (std::chrono::steady_clock::now() > end) fail("still running");
        std::this_thread::sleep_for(look_every);
    }
    return {.exit_code = exit_code_, .output = text_of(output_file_), .errors = errors()};
}

bool Process::has_ended() {
    if (ended_) return true;
    // The program stays a zombie, so that no other process gets its number and nobody else's
    // session is taken for this one.
    siginfo_t status{};
    if (::waitid(P_PID, static_cast<id_t>(id_), &status, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        status.si_pid != id_)
        return false;
    ended_ = true;
    exit_code_ = status.si_code == CLD_EXITED ? status.si_status : 128 + status.si_status;
    return true;
}

void Process::fail(const std::string& what) {
    std::string text;
    for (const std::string& word : command_)
        text += word + " ";
    text += "is " + what + " after the time limit\nstdout:\n" + text_of(output_file_) +
            "\nstderr:\n" + errors();
    kill_all();
    throw std::runtime_error(text);
}

std::string text_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf(); // a process that is gone is no exception: its /proc file cannot be read
    return text.str();
}

} // namespace hdap::test
