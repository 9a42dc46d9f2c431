#include "hdap/core/scratch_folder.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <cstdlib>

namespace hdap::core {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder(const std::string& name) {
    std::string pattern = (fs::temp_directory_path() / (name + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr)
        throw InternalError(
            fmt::format("cannot make a folder in {}; set TMPDIR to one that can be written",
                        fs::temp_directory_path().string()));
    path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

} // namespace hdap::core
