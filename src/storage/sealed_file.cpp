#include "hdap/storage/sealed_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace hdap::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view seal_magic = "hdap sealed file 1\n";
constexpr std::string_view temporary_mark = ".tmp."; // then the writer's process id

std::string reason() {
    return std::strerror(errno);
}

/// A file descriptor that closes itself.
class Descriptor {
  public:
    Descriptor(const fs::path& path, int flags, mode_t mode = 0)
        : number_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int number() const noexcept { return number_; }

    /// Whether closing succeeded: network file systems tell of a full disk only here.
    bool close() noexcept {
        const int number = std::exchange(number_, -1);
        return number < 0 || ::close(number) == 0;
    }

  private:
    int number_;
};

bool write_all(int descriptor, std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

void sync_folder(const fs::path& folder) {
    Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
    // Some network file systems refuse this; the rename itself has happened by then.
    if (directory.number() >= 0) ::fsync(directory.number());
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Makes the file at `path` also that at `previous`. At no moment is either of them missing that
/// was there before: where nothing is at `path`, `previous` may be the only checkpoint.
bool keep_as(const fs::path& path, const fs::path& previous) {
    const fs::path link =
        previous.string() + std::string(temporary_mark) + std::to_string(::getpid());
    std::error_code error;
    ::unlink(link.c_str()); // of a writer that was killed, with this process id
    if (::link(path.c_str(), link.c_str()) != 0) {
        if (errno == ENOENT) return true;
        // A file system without hard links.
        if (!fs::copy_file(path, link, fs::copy_options::overwrite_existing, error)) return false;
    }
    if (::rename(link.c_str(), previous.c_str()) == 0) {
        ::unlink(link.c_str()); // renaming between two links of one file does nothing
        return true;
    }
    const int why = errno;
    ::unlink(link.c_str());
    errno = why;
    return false;
}

/// Writes the parts to a temporary file and renames it to `path`.
void replace_file(const fs::path& path, std::span<const std::byte> head,
                  std::span<const std::byte> body, const fs::path& previous) {
    const fs::path temporary =
        path.string() + std::string(temporary_mark) + std::to_string(::getpid());
    const auto fail = [&](const std::string& action) {
        const std::string why = reason();
        ::unlink(temporary.c_str());
        throw core::InternalError("cannot " + action + " " + path.string() + ": " + why +
                                  "; the file that was there before is unchanged");
    };
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file.number() < 0) fail("create");
    if (!write_all(file.number(), head) || !write_all(file.number(), body)) fail("write");
    if (::fsync(file.number()) != 0 || !file.close()) fail("write");
    if (!previous.empty() && !keep_as(path, previous)) fail("keep the previous version of");
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail("replace");
    sync_folder(folder_of(path));
}

std::array<std::byte, seal_bytes> make_seal(std::span<const std::byte> content) {
    const std::string text = std::string(seal_magic) + "bytes " + std::to_string(content.size()) +
                             "\nsha256 " + core::sha256_hex(content) + "\n";
    std::array<std::byte, seal_bytes> seal{};
    std::memcpy(seal.data(), text.data(), text.size());
    return seal;
}

std::vector<std::byte> read_bytes(const fs::path& path) {
    Descriptor file(path, O_RDONLY);
    if (file.number() < 0) throw core::DataError("cannot open " + path.string() + ": " + reason());
    std::error_code error;
    if (!fs::is_regular_file(path, error))
        throw core::DataError("cannot read " + path.string() + ": it is not a file");
    std::vector<std::byte> bytes(fs::file_size(path));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::read(file.number(), bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw core::DataError("cannot read " + path.string() + ": " + reason());
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
}

void check_seal(const fs::path& path, std::span<const std::byte> bytes) {
    const auto content = bytes.subspan(seal_bytes);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), seal_bytes);
    const std::size_t count_at = seal_magic.size() + std::string_view("bytes ").size();
    std::size_t declared = 0;
    std::from_chars(text.data() + count_at, text.data() + text.size(), declared);
    if (declared != content.size())
        throw core::CorruptFileError(
            path.string() + ": truncated or overwritten: " + std::to_string(content.size()) +
            " bytes after the seal, " + std::to_string(declared) + " were written");
    const auto expected = make_seal(content);
    if (!std::equal(expected.begin(), expected.end(), bytes.begin()))
        throw core::CorruptFileError(path.string() +
                                     ": damaged or edited: its SHA-256 does not fit its seal");
}

} // namespace

void write_sealed(const fs::path& path, std::span<const std::byte> content,
                  const fs::path& previous) {
    replace_file(path, make_seal(content), content, previous);
}

void write_atomically(const fs::path& path, std::span<const std::byte> content) {
    replace_file(path, {}, content, {});
}

void remove_temporary_files(const fs::path& folder) {
    std::error_code ignored; // they are in nobody's way
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename().string();
        const auto mark = name.rfind(temporary_mark);
        if (mark == std::string::npos) continue;
        const std::string process = name.substr(mark + temporary_mark.size());
        if (!process.empty() && process.find_first_not_of("0123456789") == std::string::npos)
            fs::remove(entry.path(), ignored);
    }
}

std::vector<std::byte> read_sealed(const fs::path& path, Seal seal) {
    std::vector<std::byte> bytes = read_bytes(path);
    const bool sealed = bytes.size() >= seal_bytes &&
                        std::memcmp(bytes.data(), seal_magic.data(), seal_magic.size()) == 0;
    if (sealed) {
        check_seal(path, bytes);
        bytes.erase(bytes.begin(), bytes.begin() + seal_bytes);
        return bytes;
    }
    if (seal == Seal::required)
        throw core::CorruptFileError(path.string() + ": truncated, damaged, or not written by " +
                                     "hdap: it does not begin with the seal of a file of ours");
    return bytes;
}

} // namespace hdap::storage
