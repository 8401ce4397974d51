#include "toml_file.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

struct toml_file {
    toml::table table; /* keys and texts of the entries are its */
    std::vector<toml_entry> entries;
};

namespace
{

const char *word_of(toml::node_type type)
{
    switch (type) {
    case toml::node_type::string:
        return "text";
    case toml::node_type::integer:
        return "a whole number";
    case toml::node_type::boolean:
        return "true or false";
    case toml::node_type::floating_point:
        return "a number with a fraction";
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "a list";
    default:
        return "a date or a time";
    }
}

toml_entry entry_of(const toml::key &key, const toml::node &node)
{
    toml_entry entry{};
    entry.key = key.str().data();
    entry.line = key.source().begin.line;
    entry.kind = TOML_OTHER;
    entry.kind_word = word_of(node.type());
    if (const auto *text = node.as_string()) {
        entry.kind = TOML_TEXT;
        entry.text = text->get().c_str();
        entry.text_bytes = text->get().size();
    } else if (const auto *number = node.as_integer()) {
        entry.kind = TOML_NUMBER;
        entry.number = number->get();
    } else if (const auto *flag = node.as_boolean()) {
        entry.kind = TOML_FLAG;
        entry.flag = flag->get();
    }
    return entry;
}

std::unique_ptr<toml_file> parse(std::string_view text, toml_trouble &trouble)
{
    toml::parse_result result = toml::parse(text);
    if (!result) {
        const toml::parse_error &error = result.error();
        const std::string_view description = error.description();
        trouble.line = error.source().begin.line;
        trouble.column = error.source().begin.column;
        std::snprintf(trouble.text, sizeof trouble.text, "%.*s",
                      static_cast<int>(description.size()), description.data());
        return nullptr;
    }
    auto file = std::make_unique<toml_file>();
    file->table = std::move(result).table();
    for (const auto &[key, node] : file->table)
        file->entries.push_back(entry_of(key, node));
    std::stable_sort(
        file->entries.begin(), file->entries.end(),
        [](const toml_entry &one, const toml_entry &other) { return one.line < other.line; });
    return file;
}

} // namespace

extern "C" bool toml_file_parse(const char *bytes, size_t size, struct toml_file **out_file,
                                struct toml_trouble *out_trouble)
{
    *out_trouble = toml_trouble{};
    try {
        auto file = parse(std::string_view(bytes, size), *out_trouble);
        *out_file = file.release();
        return *out_file != nullptr;
    } catch (const std::bad_alloc &) {
        *out_trouble = toml_trouble{0, 0, "no memory"};
        return false;
    }
}

extern "C" const struct toml_entry *toml_file_entries(const struct toml_file *file,
                                                      size_t *out_count)
{
    *out_count = file->entries.size();
    return file->entries.data();
}

extern "C" void toml_file_close(struct toml_file *file)
{
    delete file;
}
