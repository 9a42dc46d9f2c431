#pragma once

#include <filesystem>
#include <string>

namespace hdap::core {

/// A folder below the system's for temporary files (TMPDIR) that is gone with this object.
class ScratchFolder {
  public:
    /// Its name begins with `name`. Throws InternalError when it cannot be made.
    explicit ScratchFolder(const std::string& name);
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace hdap::core
