using System.Text;
using CsCheck;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Gateway.Files;
using Shouldly;

namespace Serverless.Tests.Files;

/// <summary>The form of an upload: in any order, in any pieces, from friends and others.</summary>
public sealed class UploadFormTests
{
    private const string Boundary = "----b0undary";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Parts_come_in_any_order_and_any_pieces()
    {
        var bytes = Gen.Byte.Array[0, 3000];
        await Gen.Select(bytes, Gen.Int[0, 23], Gen.Bool, Gen.Int[1, 400]).SampleAsync(async (content, order, expires, piece) =>
        {
            var parts = new List<byte[]> { FilePart("a.jsonl", content), Field("purpose", "batch") };
            if (expires) parts.AddRange([Field("expires_after[anchor]", "created_at"), Field("expires_after[seconds]", "3600")]);
            var shuffled = parts.OrderBy(part => (Array.IndexOf([.. parts], part) * 7 + order) % 11).ToArray();

            var (details, kept) = await ReadAsync(Form(shuffled), piece);

            return kept.AsSpan().SequenceEqual(content) && details == new FileDetails("a.jsonl", "batch", expires ? TimeSpan.FromHours(1) : null);
        }, iter: 500);
    }

    [Fact]
    public async Task Content_that_looks_like_a_boundary_is_content()
    {
        string[] pieces = ["--", "\r\n", "\r\n--", Boundary[..^1], "--" + Boundary[..^1], "\n--" + Boundary, "-", "\r", "x"];
        await Gen.Select(Gen.Int[0, pieces.Length - 1].Array[0, 60], Gen.Int[1, 50]).SampleAsync(async (some, piece) =>
        {
            var content = Encoding.ASCII.GetBytes(string.Concat(some.Select(index => pieces[index])));
            if (Encoding.ASCII.GetString(content).Contains("\r\n--" + Boundary, StringComparison.Ordinal)) return true; // that is one
            var (_, kept) = await ReadAsync(Form(FilePart("a", content), Field("purpose", "batch")), piece);
            return kept.AsSpan().SequenceEqual(content);
        }, iter: 1000);
    }

    /// <summary>The server says itself what is wrong with a connection; the form is not to blame.</summary>
    [Fact]
    public async Task What_the_server_refuses_is_not_told_as_a_fault_of_the_form()
    {
        var form = new Slow(Form(FilePart("a.jsonl", new byte[5000]), Field("purpose", "batch"))[..4000]);

        var refused = await Should.ThrowAsync<BadHttpRequestException>(() => UploadForm.ReadAsync(form, Boundary, (content, token) => content.CopyToAsync(Stream.Null, token), Token));

        refused.StatusCode.ShouldBe(StatusCodes.Status408RequestTimeout);
    }

    /// <summary>Whatever comes is a form or a fault that is told; nothing else is thrown, and nothing hangs.</summary>
    [Fact]
    public async Task What_is_mangled_is_refused_in_words()
    {
        var whole = Form(FilePart("a.jsonl", new byte[200]), Field("purpose", "batch"));
        await Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Int[0, 60], Gen.Byte.Array[0, 60], Gen.Int[1, 100]).SampleAsync(async (at, cut, put, piece) =>
        {
            byte[] mangled = [.. whole[..at], .. put, .. whole[Math.Min(whole.Length, at + cut)..]];
            try
            {
                await ReadAsync(mangled, piece);
            }
            catch (ServingException exception)
            {
                exception.Fault.Error.ShouldBe(ServingError.InvalidRequest);
                exception.Fault.Message.Length.ShouldBeInRange(10, 600);
            }
        }, iter: 2000);
    }

    [Fact]
    public async Task A_purpose_that_comes_first_is_judged_before_the_bytes_are_kept()
    {
        var isKept = false;

        var fault = (await Should.ThrowAsync<ServingException>(() => UploadForm.ReadAsync(
            new MemoryStream(Form(Field("purpose", "nonsense"), FilePart("a", new byte[10]))), Boundary, (_, _) => Task.FromResult(isKept = true), Token))).Fault;

        (fault.Error, fault.Param, isKept).ShouldBe((ServingError.InvalidRequest, "purpose", false));
    }

    [Theory]
    [InlineData("form-data; name=\"file\"; filename=\"a.jsonl\"", "a.jsonl")]
    [InlineData("form-data; name=file; filename=a.jsonl; filename*=utf-8''%C3%A9t%C3%A9.jsonl", "été.jsonl")] // OpenAI's .NET library
    [InlineData("form-data; name=\"file\"; filename=\"été.jsonl\"", "été.jsonl")]
    [InlineData("form-data; name=\"file\"; filename=\"C:\\\\folder\\\\a.jsonl\"", "a.jsonl")]
    [InlineData("form-data; name=\"file\"; filename=\"../../etc/passwd\"", "passwd")]
    [InlineData("form-data; name=\"file\"; filename=\"a \\\"b\\\".txt\"", "a \"b\".txt")]
    public async Task A_file_is_called_as_its_client_calls_it_without_the_path(string disposition, string expected)
    {
        var (details, _) = await ReadAsync(Form(Part($"Content-Disposition: {disposition}", [1]), Field("purpose", "batch")), 100);

        details.Filename.ShouldBe(expected);
    }

    public static TheoryData<string, string?, byte[][]> Faulty => new()
    {
        { "no file", "file", [Field("purpose", "batch")] },
        { "no purpose", "purpose", [FilePart("a", [1])] },
        { "no name", "file", [Part("Content-Disposition: form-data; name=\"file\"", [1]), Field("purpose", "batch")] },
        { "empty name", "file", [FilePart("", [1]), Field("purpose", "batch")] },
        { "dots", "file", [FilePart("..", [1]), Field("purpose", "batch")] },
        { "long name", "file", [FilePart(new string('a', 256), [1]), Field("purpose", "batch")] },
        { "control characters", "file", [Part("Content-Disposition: form-data; name=file; filename*=utf-8''a%00b", [1]), Field("purpose", "batch")] },
        { "two files", "file", [FilePart("a", [1]), FilePart("b", [1]), Field("purpose", "batch")] },
        { "two purposes", "purpose", [Field("purpose", "batch"), Field("purpose", "batch"), FilePart("a", [1])] },
        { "ours", "purpose", [FilePart("a", [1]), Field("purpose", "batch_output")] },
        { "long field", "purpose", [Field("purpose", new string('a', 257)), FilePart("a", [1])] },
        { "not UTF-8", "purpose", [Part("Content-Disposition: form-data; name=purpose", [0xff, 0xfe]), FilePart("a", [1])] },
        { "unknown field", "colour", [Field("colour", "blue"), FilePart("a", [1]), Field("purpose", "batch")] },
        { "seconds alone", "expires_after[anchor]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[seconds]", "3600")] },
        { "anchor alone", "expires_after[seconds]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[anchor]", "created_at")] },
        { "another anchor", "expires_after[anchor]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[anchor]", "now"), Field("expires_after[seconds]", "3600")] },
        { "too soon", "expires_after[seconds]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[anchor]", "created_at"), Field("expires_after[seconds]", "3599")] },
        { "too late", "expires_after[seconds]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[anchor]", "created_at"), Field("expires_after[seconds]", "2592001")] },
        { "no number", "expires_after[seconds]", [FilePart("a", [1]), Field("purpose", "batch"), Field("expires_after[anchor]", "created_at"), Field("expires_after[seconds]", "+3600")] },
        { "no disposition", null, [Part("X-Other: 1", [1])] },
        { "attachment", null, [Part("Content-Disposition: attachment; name=file; filename=a", [1])] },
        { "many headers", null, [Part(string.Join("\r\n", Enumerable.Range(0, 20).Select(index => $"X-{index}: 1")), [1])] },
        { "long headers", null, [Part("X-Long: " + new string('a', 10_000), [1])] },
    };

    [Theory]
    [MemberData(nameof(Faulty), DisableDiscoveryEnumeration = true)]
    public async Task What_is_wrong_is_named(string what, string? param, byte[][] parts)
    {
        var fault = (await Should.ThrowAsync<ServingException>(() => ReadAsync(Form(parts), 1000), what)).Fault;

        (fault.Error, fault.Param).ShouldBe((ServingError.InvalidRequest, param), what);
    }

    [Fact]
    public async Task Parts_are_counted()
    {
        var fault = (await Should.ThrowAsync<ServingException>(() => ReadAsync([.. Enumerable.Range(0, 100).SelectMany(_ => Part("Content-Disposition: form-data; name=\"x\"", []))], 1000))).Fault;

        fault.Error.ShouldBe(ServingError.InvalidRequest);
    }

    [Theory]
    [InlineData("multipart/form-data; boundary=abc", "abc")]
    [InlineData("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"", "a b")]
    public void A_boundary_is_read(string type, string boundary) => UploadForm.BoundaryOf(type).ShouldBe(boundary);

    [Theory]
    [InlineData(null, ServingError.UnsupportedContentType)]
    [InlineData("application/json", ServingError.UnsupportedContentType)]
    [InlineData("multipart/mixed; boundary=abc", ServingError.UnsupportedContentType)]
    [InlineData("multipart/form-data", ServingError.InvalidRequest)]
    [InlineData("multipart/form-data; boundary=\"\"", ServingError.InvalidRequest)]
    [InlineData("multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x", ServingError.InvalidRequest)]
    public void A_body_of_another_type_is_refused(string? type, ServingError error) => Should.Throw<ServingException>(() => UploadForm.BoundaryOf(type)).Fault.Error.ShouldBe(error);

    private static byte[] FilePart(string name, byte[] content) => Part($"Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream", content);

    private static byte[] Field(string name, string value) => Part($"Content-Disposition: form-data; name=\"{name}\"", Encoding.UTF8.GetBytes(value));

    private static byte[] Part(string headers, byte[] content) => [.. Encoding.UTF8.GetBytes($"--{Boundary}\r\n{headers}\r\n\r\n"), .. content, .. "\r\n"u8];

    private static byte[] Form(params byte[][] parts) => [.. parts.SelectMany(part => part), .. Encoding.ASCII.GetBytes($"--{Boundary}--\r\n")];

    private static async Task<(FileDetails Details, byte[] Kept)> ReadAsync(byte[] form, int piece)
    {
        using var kept = new MemoryStream();
        var details = await UploadForm.ReadAsync(new Pieces(form, piece), Boundary, (content, token) => content.CopyToAsync(kept, token), Token);
        return (details, kept.ToArray());
    }

    /// <summary>A body whose rest comes too slowly.</summary>
    private sealed class Slow(byte[] begun) : MemoryStream(begun)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is > 0 and var read ? read : throw new BadHttpRequestException("Too slow.", StatusCodes.Status408RequestTimeout);

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <summary>Content in pieces of one size.</summary>
    private sealed class Pieces(byte[] bytes, int piece) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..Math.Min(buffer.Length, piece)], cancellationToken);

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => base.ReadAsync(buffer, offset, Math.Min(count, piece), cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, piece));
    }
}
