#include "hdap/storage/sealed_file.hpp"

#include "hdap/core/check.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <limits>
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
    core::Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
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

/// What a failure to write `path` has done to it.
std::string what_is_left(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error) ? "; the file that was there before is unchanged" : "";
}

/// Where to write what is called `name`: behind symbolic links. Throws DataError when something
/// else than a file is there, which must not be replaced by one.
fs::path target_of(const fs::path& name) {
    std::error_code error;
    const fs::path path = fs::is_symlink(name, error) ? fs::weakly_canonical(name) : name;
    const fs::file_status status = fs::status(path, error);
    if (fs::exists(status) && !fs::is_regular_file(status))
        throw core::DataError(fmt::format(
            "cannot write {}: is there already, and is no regular file", path.string()));
    return path;
}

/// Writes the parts to a temporary file and renames it to what `name` stands for.
void replace_file(const fs::path& name, std::span<const std::byte> head,
                  std::span<const std::byte> body, const fs::path& previous) {
    const fs::path path = target_of(name);
    const fs::path temporary = temporary_name(path);
    const auto fail = [&](const std::string& action) {
        const std::string why = reason();
        ::unlink(temporary.c_str());
        throw core::InternalError(
            fmt::format("cannot {} {}: {}{}", action, path.string(), why, what_is_left(path)));
    };
    core::Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.number() < 0) fail("create");
    if (!write_all(file.number(), head) || !write_all(file.number(), body)) fail("write");
    if (::fsync(file.number()) != 0 || !file.close()) fail("write");
    if (!previous.empty() && !keep_as(path, previous)) fail("keep the previous version of");
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail("replace");
    sync_folder(folder_of(path));
}

using SealBlock = std::array<std::byte, seal_bytes>;

SealBlock make_seal(std::size_t bytes, const std::string& sha256) {
    const std::string text = fmt::format("{}bytes {}\nsha256 {}\n", seal_magic, bytes, sha256);
    SealBlock seal{};
    HDAP_CHECK(text.size() < seal.size(), text.size());
    std::memcpy(seal.data(), text.data(), text.size());
    return seal;
}

bool is_seal(std::span<const std::byte> block) {
    return block.size() >= seal_bytes &&
           std::memcmp(block.data(), seal_magic.data(), seal_magic.size()) == 0;
}

/// Opens a file to read. `path` must be that of a regular file.
core::Descriptor open_file(const fs::path& path) {
    core::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0)
        throw core::DataError(fmt::format("cannot open {}: {}", path.string(), reason()));
    std::error_code error;
    if (!fs::is_regular_file(path, error))
        throw core::DataError(fmt::format("cannot read {}: it is not a file", path.string()));
    return file;
}

/// Fills `bytes` as far as the file goes on, and returns how far that is.
std::size_t read_some(const core::Descriptor& file, const fs::path& path,
                      std::span<std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::read(file.number(), bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0)
            throw core::DataError(fmt::format("cannot read {}: {}", path.string(), reason()));
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

std::vector<std::byte> read_bytes(const fs::path& path) {
    const core::Descriptor file = open_file(path);
    std::vector<std::byte> bytes(fs::file_size(path));
    bytes.resize(read_some(file, path, bytes));
    return bytes;
}

/// The number and the SHA-256 of the bytes that a file still has.
struct Digest {
    std::size_t bytes = 0;
    std::string sha256;
};

Digest digest_of_rest(const core::Descriptor& file, const fs::path& path) {
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    core::Sha256 hash;
    Digest digest;
    while (const std::size_t count = read_some(file, path, buffer)) {
        hash.update(std::span(buffer).first(count));
        digest.bytes += count;
    }
    digest.sha256 = hash.hex_digest();
    return digest;
}

void check_length(const fs::path& path, std::span<const std::byte> seal, std::size_t bytes) {
    const std::string_view text(reinterpret_cast<const char*>(seal.data()), seal_bytes);
    const std::size_t count_at = seal_magic.size() + std::string_view("bytes ").size();
    std::size_t declared = 0;
    std::from_chars(text.data() + count_at, text.data() + text.size(), declared);
    if (declared != bytes)
        throw core::CorruptFileError(
            fmt::format("{}: truncated or overwritten: {} bytes after the seal, {} were written",
                        path.string(), bytes, declared));
}

void check_seal(const fs::path& path, std::span<const std::byte> seal, const Digest& content) {
    const SealBlock expected = make_seal(content.bytes, content.sha256);
    if (!std::equal(expected.begin(), expected.end(), seal.begin()))
        throw core::CorruptFileError(path.string() +
                                     ": damaged or edited: its SHA-256 does not fit its seal");
}

void check_presence(const fs::path& path, Seal seal) {
    if (seal == Seal::required)
        throw core::CorruptFileError(
            fmt::format("{}: truncated, damaged, or not written by hdap: "
                        "it does not begin with the seal of a file of ours",
                        path.string()));
}

} // namespace

void write_sealed(const fs::path& path, std::span<const std::byte> content,
                  const fs::path& previous) {
    replace_file(path, make_seal(content.size(), core::sha256_hex(content)), content, previous);
}

void write_atomically(const fs::path& path, std::span<const std::byte> content) {
    replace_file(path, {}, content, {});
}

void write_atomically(const fs::path& path, std::string_view text) {
    write_atomically(path, std::as_bytes(std::span(text)));
}

fs::path temporary_name(const fs::path& path) {
    return path.string() + std::string(temporary_mark) + std::to_string(::getpid());
}

void reserve_space(const fs::path& temporary, std::uint64_t bytes, const fs::path& path) {
    core::Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    int error = file.number() < 0 ? errno : 0;
    if (error == 0 && bytes > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
        error = EFBIG;
    if (error == 0) error = ::posix_fallocate(file.number(), 0, static_cast<off_t>(bytes));
    if (error != 0)
        throw core::InternalError(fmt::format("cannot write {}, which needs up to {} bytes: {}",
                                              path.string(), bytes, std::strerror(error)));
}

void seal_and_rename(const fs::path& temporary, std::uint64_t bytes, const fs::path& path) {
    const auto check = [&](bool ok) {
        if (ok) return;
        const std::string why = reason();
        throw core::InternalError(
            fmt::format("cannot write {}: {}{}", path.string(), why, what_is_left(path)));
    };
    core::Descriptor file(::open(temporary.c_str(), O_RDWR | O_CLOEXEC));
    check(file.number() >= 0 && ::ftruncate(file.number(), static_cast<off_t>(bytes)) == 0 &&
          ::lseek(file.number(), seal_bytes, SEEK_SET) >= 0);
    const Digest content = digest_of_rest(file, temporary);
    HDAP_CHECK(seal_bytes + content.bytes == bytes, content.bytes, bytes);
    check(::lseek(file.number(), 0, SEEK_SET) == 0);
    check(write_all(file.number(), make_seal(content.bytes, content.sha256)));
    check(::fsync(file.number()) == 0 && file.close());
    check(::rename(temporary.c_str(), path.c_str()) == 0);
    sync_folder(folder_of(path));
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
    if (!is_seal(bytes)) {
        check_presence(path, seal);
        return bytes;
    }
    const auto content = std::span(bytes).subspan(seal_bytes);
    check_length(path, bytes, content.size());
    check_seal(path, bytes, {content.size(), core::sha256_hex(content)});
    bytes.erase(bytes.begin(), bytes.begin() + seal_bytes);
    return bytes;
}

bool check_sealed(const fs::path& path, Seal seal) {
    const core::Descriptor file = open_file(path);
    SealBlock block{};
    if (!is_seal(std::span(block).first(read_some(file, path, block)))) {
        check_presence(path, seal);
        return false;
    }
    check_length(path, block, fs::file_size(path) - seal_bytes);
    check_seal(path, block, digest_of_rest(file, path));
    return true;
}

} // namespace hdap::storage
