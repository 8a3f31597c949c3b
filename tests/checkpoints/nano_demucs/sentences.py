"""What is said over the music: sentences of common words, so that every sound of both languages comes up."""

import random

_ENGLISH = (
    "about above again air all animal answer apple are ask autumn away baby back bath beach because bird black "
    "blue boat book both bread bridge bright bring brother butter call came change cheap child choose church city "
    "clear clothes cloud coffee cold colour come corner could country cover cross dance dark daughter deep "
    "different dinner doctor dog dream drink each early earth easy eight engine evening every eye face family far "
    "farmer fast father feather few field fire first fish flower follow food forest forget four fresh friend from "
    "fruit garden gentle girl give glass going gold good great green ground grow half hand happy head hear heart "
    "heavy high hill hold home horse hour house huge hundred ice island join journey joy judge jump just keep "
    "kind kitchen know language large laugh leaf learn letter light listen little long love lunch machine make "
    "many market measure merry middle milk mind minute money moon morning mother mountain mouth move much music "
    "name nature near never new night noise north nose number ocean often oil old only open orange other our over "
    "paper path people picture place plane play please point power quick quiet rain read red rest rice ride right "
    "river road rock roof room round sand say school sea season second see seven shadow shape sharp she ship "
    "short should show silver sing sister sleep slow small smile smooth snow soft some song sound south speak "
    "spring star start stone story strange street strong such summer sun sure table take talk tall teach tell "
    "thank that their there thick thin thing think this thought thousand three through time today together "
    "tomorrow town train travel tree true turn twelve under until usual valley very view village visit voice wait "
    "walk wall warm wash watch water weather week west wheel when where which white why wide wild will wind "
    "window winter wish with woman wonder wood word work world would write year yellow yes yesterday you young"
)
_VIETNAMESE = (
    "anh ăn áo ba bác bài bạn bay bảy bé bên biết bình bò bốn bông bước buổi cá các cái cảm cây chân chào chiều "
    "cho chơi chúng chuyện có con công cơm cửa cũng dài đang đất đây đèn đẹp đến đi đỏ đọc đông đường em gà ghế "
    "gì giờ giúp gió gọi hai hát hiểu học hoa hỏi hôm khách khi không kia làm lá lên lớn lúc mà mắt mẹ mèo mới mở "
    "một mùa mưa muốn năm nắng nào nghe người ngày nhà nhạc nhanh nhìn nhỏ nhớ nói nước ở ông phải phố quả quê ra "
    "rất rừng sách sáng sáu sẽ sông sớm tay tên thấy thành thì thích thuyền thứ tiếng tìm tôi tối trà trăng trên "
    "trời trong trường tươi vàng về việc viết vui với xa xanh xe xin xuân xuống yêu"
)
WORDS: dict[str, tuple[str, ...]] = {"en": tuple(_ENGLISH.split()), "vi": tuple(_VIETNAMESE.split())}
_PAUSES = ("", "", "", "", ",")


def sentence(language: str, rng: random.Random) -> str:
    """Five to twelve words in any order."""
    words = rng.sample(WORDS[language], rng.randint(5, 12))
    return " ".join(word + rng.choice(_PAUSES) for word in words[:-1]) + f" {words[-1]}."
