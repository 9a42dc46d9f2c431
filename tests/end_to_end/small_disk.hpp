#pragma once

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <sys/mount.h>
#include <unistd.h>
#include <utility>

namespace hdap::test {

/// A disk in memory, small to fill but with room for every tiny study, whichever networks its
/// search finds on this processor. Mounting one takes root's rights.
class SmallDisk {
  public:
    explicit SmallDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
        std::filesystem::create_directory(folder_);
        mounted_ = ::mount("hdap-test", folder_.c_str(), "tmpfs", 0, "size=16m") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return mounted_; }

    [[nodiscard]] bool make_read_only() const {
        return ::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }

    /// Takes all the space there is at this moment.
    void fill() const {
        const int file = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        constexpr std::array<char, 4096> block{};
        while (::write(file, block.data(), block.size()) > 0) {
        }
        ::close(file);
    }

    void make_space() const { std::filesystem::remove(filler()); }

  private:
    [[nodiscard]] std::filesystem::path filler() const { return folder_ / "filler"; }

    std::filesystem::path folder_;
    bool mounted_ = false;
};

} // namespace hdap::test
