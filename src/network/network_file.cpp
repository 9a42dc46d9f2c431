#include "hdap/network/network_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

namespace hdap::network {
namespace {

using nlohmann::ordered_json;

const std::string graph_path = "/graph";

/// Writes a node's field as JSON, and reads it.
struct Field {
    std::string name;
    std::function<void(const Node&, ordered_json&)> write;
    std::function<void(const ordered_json&, Node&)> read;
};

ordered_json as_json(const Extent& extent) {
    return {extent.height, extent.width};
}

Extent extent_from(const ordered_json& json) {
    if (!json.is_array() || json.size() != 2 || !json[0].is_number_integer() ||
        !json[1].is_number_integer())
        throw core::DataError("expected [height, width], got " + json.dump());
    return {json[0].get<std::int64_t>(), json[1].get<std::int64_t>()};
}

template <class T>
T value_from(const ordered_json& json) {
    if constexpr (std::is_same_v<T, Extent>) return extent_from(json);
    if constexpr (std::is_same_v<T, bool>) {
        if (!json.is_boolean()) throw core::DataError("expected true or false, got " + json.dump());
        return json.get<bool>();
    }
    if constexpr (std::is_same_v<T, std::int64_t>) {
        if (!json.is_number_integer())
            throw core::DataError("expected an integer, got " + json.dump());
        return json.get<std::int64_t>();
    }
    if constexpr (std::is_same_v<T, double>) {
        if (!json.is_number()) throw core::DataError("expected a number, got " + json.dump());
        return json.get<double>();
    }
}

template <class T>
Field field(const std::string& name, T Node::*member) {
    return {name,
            [name, member](const Node& node, ordered_json& json) {
                const T value = node.*member;
                if (value == Node{}.*member) return;
                if constexpr (std::is_same_v<T, Extent>)
                    json[name] = as_json(value);
                else
                    json[name] = value;
            },
            [member](const ordered_json& json, Node& node) { node.*member = value_from<T>(json); }};
}

std::vector<Field> fields() {
    return {field("output_channels", &Node::output_channels),
            field("groups", &Node::groups),
            field("kernel", &Node::kernel),
            field("stride", &Node::stride),
            field("padding", &Node::padding),
            field("padding_after", &Node::padding_after),
            field("dilation", &Node::dilation),
            field("size", &Node::size),
            field("first_channel", &Node::first_channel),
            field("channels_before", &Node::channels_before),
            field("channels_after", &Node::channels_after),
            field("bias", &Node::bias),
            field("ceil_mode", &Node::ceil_mode),
            field("count_include_pad", &Node::count_include_pad),
            field("align_corners", &Node::align_corners),
            field("epsilon", &Node::epsilon),
            field("negative_slope", &Node::negative_slope)};
}

std::vector<std::string> operator_names() {
    std::vector<std::string> names;
    for (int op = 0; op <= static_cast<int>(Operator::flatten); ++op)
        names.emplace_back(operator_name(static_cast<Operator>(op)));
    return names;
}

/// Reads one network; messages say in which node they were.
class JsonReader {
  public:
    Network read(const ordered_json& document) {
        Network network;
        for (const auto& [key, value] : object(document).items()) {
            if (key == "name")
                network.name = text(value);
            else if (key == "input")
                network.input_extent = extent_from(value);
            else if (key == "outputs")
                continue; // names of nodes: when all are known
            else if (key == "nodes")
                for (const ordered_json& node : array(value))
                    append(node, network);
            else
                unknown("field", key, {"name", "input", "outputs", "nodes"});
        }
        if (document.contains("outputs"))
            for (const ordered_json& output : array(document["outputs"]))
                network.outputs.push_back(index_of(text(output)));
        return network;
    }

  private:
    static const ordered_json& object(const ordered_json& json) {
        if (!json.is_object()) throw core::DataError("expected an object, got " + shown(json));
        return json;
    }
    static const ordered_json& array(const ordered_json& json) {
        if (!json.is_array()) throw core::DataError("expected a list, got " + shown(json));
        return json;
    }
    static std::string text(const ordered_json& json) {
        if (!json.is_string()) throw core::DataError("expected a text, got " + shown(json));
        return json.get<std::string>();
    }
    static std::string shown(const ordered_json& json) { return json.dump().substr(0, 64); }

    [[noreturn]] static void unknown(const std::string& what, const std::string& name,
                                     const std::vector<std::string>& known) {
        throw core::DataError("unknown " + what + " '" + name.substr(0, 64) + "'" +
                              core::did_you_mean(name.substr(0, 64), known));
    }

    std::size_t index_of(const std::string& name) const {
        const auto found = indices_.find(name);
        if (found == indices_.end())
            throw core::DataError("'" + name.substr(0, 64) + "' is no earlier node");
        return found->second;
    }

    void append(const ordered_json& json, Network& network) {
        const std::string where = "node " + std::to_string(network.nodes.size());
        try {
            network.nodes.push_back(node(object(json)));
        } catch (const core::DataError& error) {
            throw core::DataError(where + ": " + error.what());
        }
        indices_.emplace(network.nodes.back().name, network.nodes.size() - 1);
    }

    [[nodiscard]] Node node(const ordered_json& json) const {
        Node result;
        for (const auto& [key, value] : json.items()) {
            if (key == "name") {
                result.name = text(value);
            } else if (key == "op") {
                const auto op = std::find(operators_.begin(), operators_.end(), text(value));
                if (op == operators_.end()) unknown("operator", text(value), operators_);
                result.op = static_cast<Operator>(op - operators_.begin());
            } else if (key == "inputs") {
                for (const ordered_json& input : array(value))
                    result.inputs.push_back(index_of(text(input)));
            } else {
                read_field(key, value, result);
            }
        }
        return result;
    }

    void read_field(const std::string& key, const ordered_json& value, Node& node) const {
        std::vector<std::string> known;
        for (const Field& field : fields_) {
            if (field.name == key) return field.read(value, node);
            known.push_back(field.name);
        }
        unknown("field", key, known);
    }

    std::vector<Field> fields_ = fields();
    std::vector<std::string> operators_ = operator_names();
    std::map<std::string, std::size_t> indices_;
};

} // namespace

std::string network_as_json(const Network& network) {
    const std::vector<Field> all = fields();
    ordered_json nodes = ordered_json::array();
    for (const Node& node : network.nodes) {
        ordered_json json{{"name", node.name}, {"op", operator_name(node.op)}};
        for (const std::size_t input : node.inputs)
            json["inputs"].push_back(network.nodes[input].name);
        for (const Field& field : all)
            field.write(node, json);
        nodes.push_back(std::move(json));
    }
    ordered_json document{{"name", network.name}, {"input", as_json(network.input_extent)}};
    for (const std::size_t output : network.outputs)
        document["outputs"].push_back(network.nodes[output].name);
    document["nodes"] = std::move(nodes);
    return document.dump(1);
}

Network network_from_json(const std::string& text, const std::string& source) {
    try {
        Network network = JsonReader().read(ordered_json::parse(text));
        (void)infer_shapes(network);
        return network;
    } catch (const nlohmann::json::exception& error) {
        throw core::DataError(source + ": the graph is not JSON: " + error.what());
    } catch (const core::DataError& error) {
        throw core::DataError(source + ": " + error.what());
    }
}

void write_graph(storage::Hdf5Writer& file, const Network& network) {
    const std::vector<std::string> graph{network_as_json(network)};
    file.write_strings(graph_path, graph);
}

Network read_graph(const storage::Hdf5Reader& file) {
    if (!file.contains(graph_path))
        throw core::DataError(file.name() + ": no data set '" + graph_path +
                              "', so the file does not say what its network looks like; name a "
                              "network of the zoo and give this file as its weights");
    const std::vector<std::string> graph = file.read_strings(graph_path);
    if (graph.size() != 1)
        throw core::DataError(file.name() + ": " + graph_path + " holds " +
                              std::to_string(graph.size()) + " texts, expected 1");
    return network_from_json(graph.front(), file.name());
}

void write_network(storage::Hdf5Writer& file, const PrunedNetwork& network) {
    write_graph(file, network.network);
    write_weights(file, network.weights);
}

PrunedNetwork read_network(const storage::Hdf5Reader& file) {
    PrunedNetwork result{read_graph(file), read_weights(file)};
    try {
        check_weights(result.network, result.weights);
    } catch (const core::DataError& error) {
        throw core::DataError(file.name() + ": " + error.what());
    }
    check_values(result.network, result.weights, file.name());
    return result;
}

} // namespace hdap::network
