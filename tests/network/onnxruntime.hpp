#pragma once

#include "support/temporary_folder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace hdap::network::testing {

/// ONNX Runtime on many models, all in one process of Node.js, which takes longer to start than a
/// small model to run.
class OnnxRuntime {
  public:
    struct Result {
        std::vector<float> values; ///< all outputs, one after the other
        std::string error;         ///< why the model did not load or run
    };

    /// A file in the folder where the models are.
    [[nodiscard]] std::filesystem::path file(const std::string& name) const {
        return folder_ / name;
    }

    /// Plans to run a model on one batch; the result has the number that this returns.
    std::size_t add(std::span<const std::byte> model, const std::vector<std::int64_t>& shape,
                    const std::vector<float>& input) {
        const std::string name = std::to_string(results_++);
        write(name + ".onnx", model);
        write(name + ".input", std::as_bytes(std::span(input)));
        list_ += (list_.empty() ? "[" : ",\n") + std::string("{\"model\": ") +
                 path(name + ".onnx") + ", \"input\": " + path(name + ".input") +
                 ", \"output\": " + path(name + ".output") + ", \"shape\": [";
        for (std::size_t i = 0; i < shape.size(); ++i)
            list_ += (i > 0 ? ", " : "") + std::to_string(shape[i]);
        list_ += "]}";
        return results_ - 1;
    }

    /// Runs all of them. Nothing where Node.js or onnxruntime-node is not installed.
    [[nodiscard]] std::optional<std::vector<Result>> run() {
        list_ += "]";
        write("list.json", std::as_bytes(std::span(list_)));
        const std::string command = "node '" HDAP_SOURCE_DIR
                                    "/tests/network/onnxruntime/run.mjs' '" +
                                    (folder_ / "list.json").string() + "'";
        const int status = WEXITSTATUS(std::system(command.c_str()));
        constexpr int no_such_command = 127;
        constexpr int not_installed = 77;
        if (status == no_such_command || status == not_installed) return std::nullopt;
        if (status != 0) throw std::runtime_error("run.mjs ended with " + std::to_string(status));
        std::vector<Result> results;
        for (std::size_t i = 0; i < results_; ++i) {
            const std::string output = std::to_string(i) + ".output";
            const std::string bytes = read(output);
            Result result{std::vector<float>(bytes.size() / sizeof(float)),
                          read(output + ".error")};
            std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(result.values.data()));
            results.push_back(std::move(result));
        }
        return results;
    }

  private:
    [[nodiscard]] std::string path(const std::string& name) const {
        return '"' + (folder_ / name).string() + '"';
    }

    void write(const std::string& name, std::span<const std::byte> bytes) const {
        std::ofstream(folder_ / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }

    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream stream(folder_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    test::TemporaryFolder folder_;
    std::size_t results_ = 0;
    std::string list_;
};

} // namespace hdap::network::testing
