using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Serverless.Inference.Tokenizers;
using Shouldly;
using HuggingFace = Tokenizers.DotNet;
using Tokenizer = Serverless.Inference.Tokenizers.Tokenizer;

namespace Serverless.Tests.Inference.Tokenizers;

/// <summary>
/// Our tokenizer against Hugging Face's own library (Rust, by NuGet) on random texts: every family's way to split over one small vocabulary, SentencePiece's ways with spaces
/// over another, and real vocabularies where <c>make vocabularies</c> has installed them.
/// </summary>
public sealed class TokenizerOracleTests(ITestOutputHelper output) : IDisposable
{
    private const string Gpt2 = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";
    private const string Bytes = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""";

    private static readonly string[] Parts =
    [
        "the", "The quick", " brown", "don't", " I'LL", "we've", "123", "1234567", " 12", "\n", "\r\n", "\n\n", "  ", "   ", "\t", " ", "!", "...", "?!", " -", " --", "é", "ñ", "ü", " ß", "日本語", "テスト",
        "한국어", "привет", "мир", " שלום", "مرحبا", "१२३", "𝒳𝒴", "𝟘𝟙", "🎉", "👩‍👩‍👧", "\u0301", "e\u0301", "//", "/\n", " {}", "();", "=>", "_x", "X_Y", "HTMLParser", "camelCase", "\u00a0", "\u3000", "ǅ", "ʰ",
        "Ⅳ", "²", "<s>x", "<", "|>", "a", "b", "zz", "ﬁ", "ſ", "\u212A", "\u200b", "'s", "'S", "'", "''", "here", "inner string",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-tokenizers");

    private static string Data => Path.Combine(Repository.Root, "tests", "data", "tokenizers");

    public void Dispose() => _folder.Delete(recursive: true);

    public static TheoryData<string, string> Families() => new()
    {
        { "gpt2", Gpt2 },
        { "smollm", $$"""{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{{Gpt2}}]}""" },
        { "llama3", Split(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+") },
        { "qwen2", Split(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+") },
        { "gpt-4o", Split(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+") },
        { "tekken", Split(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+") },
        { "deepseek-v3", Split(@"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+") },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void Each_family_splits_as_hugging_face_does(string family, string splitter)
    {
        var file = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Data, "bytes.json")))!;
        file["pre_tokenizer"] = JsonNode.Parse(splitter);
        Compare(family, Save(file));
        file["model"]!["ignore_merges"] = true;
        Compare(family, Save(file));
    }

    [Theory]
    [InlineData("""{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""", "null")]
    [InlineData("""{"type":"Replace","pattern":{"String":" "},"content":"▁"}""", """{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}""")]
    [InlineData("null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""")]
    public void Characters_merge_as_hugging_faces_do(string normalizer, string splitter)
    {
        var file = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Data, "characters.json")))!;
        file["normalizer"] = JsonNode.Parse(normalizer);
        file["pre_tokenizer"] = JsonNode.Parse(splitter);
        if (splitter.Contains("first", StringComparison.Ordinal)) file["post_processor"] = null;
        Compare(normalizer + splitter, Save(file));
    }

    [Fact]
    public void Real_vocabularies_are_read_as_hugging_face_reads_them()
    {
        var folder = Path.Combine(Repository.Root, "artifacts", "vocabularies");
        if (!Directory.Exists(folder)) return; // make vocabularies
        foreach (var path in Directory.EnumerateFiles(folder, "tokenizer.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal)) Compare(path, path);
    }

    [Theory]
    [InlineData("model.type", "\"Unigram\"", "'Unigram'")]
    [InlineData("pre_tokenizer", """{"type":"Whitespace"}""", "'Whitespace'")]
    [InlineData("normalizer", """{"type":"Lowercase"}""", "'Lowercase'")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(a+)+b"},"behavior":"Isolated","invert":false}""", "ByteLevel")]
    [InlineData("pre_tokenizer", """{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(a+)+b"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","use_regex":false}]}""", "'(a+)+b'")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "'##'")]
    public void What_would_change_the_tokens_and_is_not_known_is_refused(string field, string value, string part)
    {
        var file = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Data, "bytes.json")))!;
        var names = field.Split('.');
        (names.Length == 1 ? file : file[names[0]]!)[names[^1]] = JsonNode.Parse(value);

        Should.Throw<TokenizerException>(() => Read(Save(file))).Message.ShouldContain(part);
    }

    [Fact]
    public void A_token_that_strips_takes_the_white_space_behind_it_and_one_of_a_user_is_text()
    {
        var file = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Data, "bytes.json")))!;
        file["added_tokens"]![2]!["rstrip"] = true;
        var tokenizer = Read(Save(file));

        tokenizer.Encode("</s> \n x", parseSpecial: true).ShouldBe([2, .. tokenizer.Encode("x", false)]);
        tokenizer.Encode("</s>", parseSpecial: false).ShouldNotContain(2);
        tokenizer.EndTokens.ShouldBe([2]);
    }

    private static string Split(params string[] patterns) =>
        $$"""{"type":"Sequence","pretokenizers":[{{string.Concat(patterns.Select(pattern => $$"""{"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(pattern)}}},"behavior":"Isolated","invert":false},"""))}}{{Bytes}}]}""";

    private static Tokenizer Read(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var root = document.RootElement;
        var size = 1 + root.GetProperty("model").GetProperty("vocab").EnumerateObject().Select(entry => entry.Value.GetInt32())
            .Concat(root.GetProperty("added_tokens").EnumerateArray().Select(added => added.GetProperty("id").GetInt32())).Max();
        var settings = new TokenizerSettings();
        settings.Ends.Add(2);
        return TokenizerJson.Read(root, settings, size);
    }

    private void Compare(string name, string path)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "Hugging Face's library is here for Linux on x64.");
        var sut = Read(path);
        using var witness = new HuggingFace.Tokenizer(vocabPath: path);
        var random = new Random(7);
        var runs = Fuzz.Number("VOCABULARY_RUNS", 300);
        var isComposed = File.ReadAllText(path).Contains("\"NFC\"", StringComparison.Ordinal); // which is left to whoever writes the text
        for (var run = 0; run < runs; run++)
        {
            var text = new StringBuilder();
            for (var parts = random.Next(1, 14); parts > 0; parts--) text.Append(random.Next(12) == 0 ? char.ConvertFromUtf32(random.Next(0x20, 0x2FFF)) : Parts[random.Next(Parts.Length)]);
            if (isComposed && text.ToString().Any(unit => unit is >= '\u0300' and < '\u0370' or > '\u2100' or >= '\u0900' and < '\u1400')) continue;

            List<int> expected = [.. witness.Encode(text.ToString()).Select(token => (int)token)];
            var tokens = sut.Encode(text.ToString(), parseSpecial: true);
            if (sut.BeginToken is { } begin) tokens.Insert(0, begin);
            tokens.ShouldBe(expected, $"{name}, case {run}: {JsonSerializer.Serialize(text.ToString())}");
        }

        output.WriteLine($"{name}: {runs} texts");
    }

    private string Save(JsonNode file)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        File.WriteAllText(path, file.ToJsonString());
        return path;
    }
}
